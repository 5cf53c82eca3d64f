// Reads the parts of a qcow2 header that name other files. Pure. Invariant: if qemu would open another file because of the header, that
// file is in the result or the header is refused. A forged backup therefore cannot make qemu open an unchecked file.

import { escapeControls } from '@rsio/base/lib/printable';

export interface Qcow2Header {
  readonly sizeBytes: number;
  /** Name of the backing file as written in the header; null if the header names no backing file. */
  readonly backing: string | null;
}

const MAGIC = 0x51_46_49_fb;
const V2_BYTES = 72;
const V3_BYTES = 104;
const BACKING_NAME_MAX_BYTES = 1023;
const EXTERNAL_DATA = 1 << 2;
const EXTENSION = { END: 0, DATA_FILE: 0x44_41_54_41, BACKING_FORMAT: 0xe2_79_2a_ca } as const;

/**
 * Parses the header. `bytes`: the start of the file. If `rsconfig backup` cannot have made the file, returns the reason, such as `is
 * encrypted`.
 */
export function parseQcow2Header(bytes: Buffer): Qcow2Header | string {
  if (bytes.length < V3_BYTES || bytes.readUInt32BE(0) !== MAGIC) return 'is not a qcow2 file';
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) return `is a qcow2 file of version ${version}`;
  if (bytes.readUInt32BE(32) !== 0) return 'is encrypted';
  if (version === 3 && (bytes.readUInt32BE(76) & EXTERNAL_DATA) !== 0) return 'has its data in another file';
  const size = bytes.readBigUInt64BE(24);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) return `has an impossible size, ${size}`;
  const [at, length] = [bytes.readBigUInt64BE(8), bytes.readUInt32BE(16)];
  if (at !== 0n && (length > BACKING_NAME_MAX_BYTES || at + BigInt(length) > BigInt(bytes.length))) return 'has a damaged header';
  const backing = at === 0n ? null : bytes.toString('utf8', Number(at), Number(at) + length);
  const problem = extensionProblem(bytes, version === 2 ? V2_BYTES : bytes.readUInt32BE(100), at === 0n ? bytes.length : Number(at));
  return problem ?? { sizeBytes: Number(size), backing };
}

/** Makes untrusted text from a file safe for a terminal. */
export function quoted(text: string): string {
  return escapeControls(JSON.stringify(text));
}

function extensionProblem(bytes: Buffer, begin: number, end: number): string | null {
  for (let at = begin; at + 8 <= end; ) {
    const [type, length] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
    if (type === EXTENSION.END) return null;
    if (at + 8 + length > end) return 'has a damaged header';
    const text = bytes.toString('utf8', at + 8, at + 8 + length);
    if (type === EXTENSION.DATA_FILE) return `has its data in another file, ${quoted(text)}`;
    if (type === EXTENSION.BACKING_FORMAT && text !== 'qcow2') return `stands on a file of format ${quoted(text)}`;
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return null;
}
