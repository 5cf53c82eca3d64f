// Keeps secret keys out of the log. Every field that a caller adds to a log record passes through cleanFields. Invariant: the cleaned
// fields are plain data of limited depth and contain neither secrets nor the contents of buffers.

import { LOG_FIELD_DEPTH_MAX } from './limits.ts';

export type LogFields = Readonly<Record<string, unknown>>;

const SECRETS: ReadonlySet<string> = new Set([
  'key',
  'nodekey',
  'namespacekey',
  'serverkey',
  'clientkey',
  'secret',
  'password',
  'token',
  'mac',
  'proof',
]);
/**
 * Names of the fields that the log itself adds to each record. If a caller's field has one of these names, the log appends `_` to the name.
 */
const RESERVED: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'msg', 'node', 'zone']);

/** Returns a copy of the caller's fields that is safe to log. */
export function cleanFields(fields: LogFields): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    clean[RESERVED.has(name) ? `${name}_` : name] = isSecret(name) ? '[redacted]' : cleanValue(value, 1);
  }
  return clean;
}

function isSecret(name: string): boolean {
  return SECRETS.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= LOG_FIELD_DEPTH_MAX) return '[deeper]';
  if (Array.isArray(value)) return value.map((item: unknown) => cleanValue(item, depth + 1));
  if (value instanceof Error) return cleanError(value, depth);
  const clean: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) clean[name] = isSecret(name) ? '[redacted]' : cleanValue(item, depth + 1);
  return clean;
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const own = cleanValue(Object.fromEntries(Object.entries(error)), depth + 1);
  return { ...(typeof own === 'object' ? own : {}), name: error.name, message: error.message, stack: error.stack };
}
