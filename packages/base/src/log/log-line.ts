// Formats a log record (one line of JSON) for people. Also defines the format of the times that logs and commands show. Invariant: the
// result is one line without control characters, whatever bytes the input contains. In a line that is not a valid record, only control
// characters are replaced. A formatted record looks like this:
//
//   big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000

import { escapeControls } from '../lib/printable.ts';

const LEVELS: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error']);
const ZONE = /^([+-])(\d\d):(\d\d)$/;
/** The latest time that a JavaScript Date can represent. */
export const TIME_MAX_MS = 8.64e15;

interface LogRecord {
  /** Offset such as `+02:00`; '' for GMT. */
  readonly zone: string;
  readonly node: string;
  readonly time: number;
  readonly level: string;
  readonly path: string;
  readonly msg: string;
}

/** Formats a time as `2010_09_14-15:02:32 (GMT)`. The time `wallMs` is in milliseconds since 1970 and is at most TIME_MAX_MS. */
export function formatTime(wallMs: number): string {
  const [day = '', time = ''] = new Date(wallMs).toISOString().split('T');
  return `${day.replaceAll('-', '_')}-${time.slice(0, 8)} (GMT)`;
}

/** Formats a time in this machine's time zone, for example `2010_09_14-17:02:32 (+02:00)`. */
export function formatLocalTime(wallMs: number): string {
  return formatZonedTime(wallMs, -new Date(wallMs).getTimezoneOffset());
}

/** Returns the offset of this machine's time zone at a time, for example `+02:00`. */
export function zoneOf(wallMs: number): string {
  return zoneText(-new Date(wallMs).getTimezoneOffset());
}

/** Returns one record as a formatted line without a line end. Without `timeText`, the time is in the record's zone. */
export function formatLogLine(line: string, timeText?: (wallMs: number) => string): string {
  const record = parseRecord(line);
  if (record === undefined) return escapeControls(line);
  const level = record.level.toUpperCase();
  return escapeControls(`${record.node}@rsio ${timeOf(record, timeText)} ${level} (${record.path}): ${record.msg}`);
}

function timeOf({ time, zone }: LogRecord, timeText?: (wallMs: number) => string): string {
  if (timeText !== undefined) return timeText(time);
  const [, sign, hours, minutes] = ZONE.exec(zone) ?? [];
  if (sign === undefined) return formatTime(time);
  return formatZonedTime(time, (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1));
}

function formatZonedTime(wallMs: number, offsetMinutes: number): string {
  const shiftedMs = Math.max(-TIME_MAX_MS, Math.min(TIME_MAX_MS, wallMs + offsetMinutes * 60_000));
  return formatTime(shiftedMs).replace('GMT', zoneText(offsetMinutes));
}

function zoneText(offsetMinutes: number): string {
  const [hours, minutes] = [Math.floor(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60].map((part) =>
    String(part).padStart(2, '0'),
  );
  return `${offsetMinutes < 0 ? '-' : '+'}${hours}:${minutes}`;
}

function parseRecord(line: string): LogRecord | undefined {
  if (!line.startsWith('{')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { node, time, level, path, msg, zone } = value as Record<string, unknown>;
  if (typeof node !== 'string' || typeof msg !== 'string') return undefined;
  if (typeof level !== 'string' || !LEVELS.has(level)) return undefined;
  if (typeof time !== 'number' || !(Math.abs(time) <= TIME_MAX_MS)) return undefined;
  return { node, time, level, path: typeof path === 'string' ? path : 'main', msg, zone: typeof zone === 'string' ? zone : '' };
}
