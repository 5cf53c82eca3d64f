// Checks the fields of calls: that they are there, and that they are within bounds. Pure. Invariant: every refusal is INVALID_ARGUMENT and
// names the field.

import { quoteText } from '@rsio/base/lib/units';
import { CSI_ENTRIES_MAX, CSI_PATH_MAX_BYTES, CSI_TEXT_MAX_BYTES, SIZE_UNIT_BYTES } from '../limits.ts';
import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import type { Capability, CapacityRange, Texts } from './messages.ts';
import { CsiError } from './status.ts';

const SINGLE_MODES = ['SINGLE_NODE_WRITER', 'SINGLE_NODE_READER_ONLY', 'SINGLE_NODE_SINGLE_WRITER', 'SINGLE_NODE_MULTI_WRITER'] as const;
const READER_MODES = ['SINGLE_NODE_READER_ONLY', 'MULTI_NODE_READER_ONLY'] as const;

export type FsType = 'ext4' | 'xfs';
export const FS_TYPES: readonly FsType[] = ['ext4', 'xfs'];
export const FS_DEFAULT: FsType = 'ext4';

/** A capability whose fields are checked. */
export interface Use {
  readonly kind: 'block' | 'mount';
  readonly mode: string;
  /** The file system that the call names; null if it names none. */
  readonly fsType: FsType | null;
  readonly mountFlags: readonly string[];
}

export function invalid(sentence: string): CsiError {
  return new CsiError('INVALID_ARGUMENT', sentence);
}

/** Returns the text of a field that must be there. */
export function filled(text: string, field: string): string {
  if (text === '') throw invalid(`Field ${field} is empty: give it`);
  if (Buffer.byteLength(text) > CSI_TEXT_MAX_BYTES) throw invalid(`Field ${field} has more than ${CSI_TEXT_MAX_BYTES} bytes: shorten it`);
  return text;
}

/** Returns an absolute path without a trailing slash. */
export function pathOf(text: string, field: string): string {
  if (text === '') throw invalid(`Field ${field} is empty: give an absolute path`);
  const isPlain = text.startsWith('/') && !text.split('/').includes('..') && !text.includes('\0');
  if (!isPlain || Buffer.byteLength(text) > CSI_PATH_MAX_BYTES)
    throw invalid(`Field ${field} is not an absolute path of at most ${CSI_PATH_MAX_BYTES} bytes without ..: correct it`);
  const path = text.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1');
  if (path === '/') throw invalid(`Field ${field} is /: give a path below it`);
  return path;
}

export function boundedTexts(texts: Texts, field: string): Texts {
  if (Object.keys(texts).length > CSI_ENTRIES_MAX) throw invalid(`Field ${field} has more than ${CSI_ENTRIES_MAX} entries: remove some`);
  return texts;
}

export function isReader({ mode }: Use): boolean {
  return READER_MODES.some((one) => one === mode);
}

/** True if several nodes may have the volume at the same time. */
export function isForSeveralNodes({ mode }: Use): boolean {
  return mode === 'MULTI_NODE_READER_ONLY' || mode === 'MULTI_NODE_MULTI_WRITER';
}

export function isForSeveralWriters({ mode }: Use): boolean {
  return mode === 'MULTI_NODE_MULTI_WRITER';
}

export function useOf(capability: Capability | null, field = 'volume_capability'): Use {
  const mode = capability?.accessMode?.mode ?? 'UNKNOWN';
  if (capability === null || capability.accessType === undefined) throw invalid(`Field ${field} has no access type: give block or mount`);
  const { accessType: kind, mount } = capability;
  if (mode === 'MULTI_NODE_MULTI_WRITER') {
    if (kind !== 'block')
      throw invalid(`Field ${field} asks for a file system that several nodes write to: use volumeMode Block, or one node (ReadWriteOnce)`);
  } else if (mode !== 'MULTI_NODE_READER_ONLY' && !SINGLE_MODES.some((one) => one === mode)) {
    throw invalid(`Field ${field} has the access mode ${mode}: use one node, several readers, or, with volumeMode Block, several writers`);
  }
  const name = mount?.fsType ?? '';
  const fsType = FS_TYPES.find((one) => one === name) ?? null;
  if (kind === 'mount' && name !== '' && fsType === null)
    throw invalid(`Field ${field} asks for file system ${quoteText(name)}: use ${FS_TYPES.join(' or ')}`);
  const mountFlags = mount?.mountFlags ?? [];
  if (mountFlags.length > CSI_ENTRIES_MAX || mountFlags.some((flag) => Buffer.byteLength(flag) > CSI_TEXT_MAX_BYTES))
    throw invalid(`Field ${field} has too many or too long mount flags: shorten them`);
  return { kind, mode, fsType, mountFlags };
}

export function usesOf(capabilities: readonly Capability[]): Use[] {
  if (capabilities.length === 0) throw invalid('Field volume_capabilities is empty: give at least one capability');
  if (capabilities.length > CSI_ENTRIES_MAX)
    throw invalid(`Field volume_capabilities has more than ${CSI_ENTRIES_MAX} entries: remove some`);
  return capabilities.map((one) => useOf(one, 'volume_capabilities'));
}

/** The sizes that a call permits. `limitBytes` is null if there is no limit. */
export interface SizeRange {
  readonly requiredBytes: number;
  readonly limitBytes: number | null;
}

export function rangeOf(range: CapacityRange | null): SizeRange {
  const { requiredBytes, limitBytes } = range ?? { requiredBytes: 0, limitBytes: 0 };
  for (const bytes of [requiredBytes, limitBytes]) if (bytes < 0) throw invalid(`A size of ${bytes} bytes is negative: correct it`);
  if (limitBytes > 0 && requiredBytes > limitBytes)
    throw invalid(`Field capacity_range requires ${requiredBytes} bytes and permits ${limitBytes}: correct one of them`);
  if (requiredBytes > VOLUME_MAX_BYTES)
    throw new CsiError('OUT_OF_RANGE', `A volume has at most ${VOLUME_MAX_BYTES} bytes, and ${requiredBytes} are required`);
  return { requiredBytes, limitBytes: limitBytes === 0 ? null : limitBytes };
}

/** Returns the size of a new volume: the required size or `defaultBytes`, rounded up to SIZE_UNIT_BYTES. */
export function sizeIn({ requiredBytes, limitBytes }: SizeRange, defaultBytes: number): number {
  const wanted = requiredBytes > 0 ? requiredBytes : Math.min(defaultBytes, limitBytes ?? defaultBytes);
  const rounded = requiredBytes > 0 ? Math.ceil(wanted / SIZE_UNIT_BYTES) : Math.max(1, Math.floor(wanted / SIZE_UNIT_BYTES));
  const bytes = rounded * SIZE_UNIT_BYTES;
  if (bytes > Math.min(limitBytes ?? VOLUME_MAX_BYTES, VOLUME_MAX_BYTES))
    throw new CsiError(
      'OUT_OF_RANGE',
      `A volume has a multiple of ${SIZE_UNIT_BYTES} bytes, and at most ${limitBytes} are permitted: permit ${bytes}`,
    );
  return bytes;
}

export function isInRange(sizeBytes: number, { requiredBytes, limitBytes }: SizeRange): boolean {
  return sizeBytes >= requiredBytes && (limitBytes === null || sizeBytes <= limitBytes);
}

/** Returns how many entries an answer may have. `max`: the bound of this program. */
export function entriesOf(maxEntries: number, max: number): number {
  if (maxEntries < 0) throw invalid(`${maxEntries} entries are asked for: give 0 or more`);
  return maxEntries === 0 ? max : Math.min(maxEntries, max);
}
