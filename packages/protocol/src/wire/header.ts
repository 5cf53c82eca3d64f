// Reads and writes the 16-byte header of a frame. Numbers are big-endian. `readHeader` overwrites its Header argument, so a receiver must
// copy fields that it needs later.
//
//   byte 0    1      2, 3           4, 5   6, 7   8 to 13          14, 15
//        op   flags  handle/status  slot   seq    lba              count       I/O frame
//        op   flags  handle/status  slot   seq    length (8 to 11), aux (12 to 15)   message frame

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS, WIDE_UNIT_SECTORS } from './limits.ts';
import { ANSWER, FLAG, frameEntry, OP } from './frames.ts';

export interface Header {
  op: number;
  flags: number;
  /** Handle in a request, status in an answer. */
  handle: number;
  slot: number;
  seq: number;
  /** I/O frames: first sector. */
  lba: number;
  /** I/O frames: number of sectors, or number of MiB if the flag WIDE is set. */
  count: number;
  /** Message frames: body bytes. */
  length: number;
  /** Message frames: a number whose meaning depends on the op. */
  aux: number;
}

export function emptyHeader(): Header {
  return { op: 0, flags: 0, handle: 0, slot: 0, seq: 0, lba: 0, count: 0, length: 0, aux: 0 };
}

/** Reads the header at `offset`. The fields of the other frame shape are also set, but have no meaning. */
export function readHeader(buffer: Buffer, offset: number, header: Header): void {
  header.op = buffer[offset]!;
  header.flags = buffer[offset + 1]!;
  header.handle = (buffer[offset + 2]! << 8) | buffer[offset + 3]!;
  header.slot = (buffer[offset + 4]! << 8) | buffer[offset + 5]!;
  header.seq = (buffer[offset + 6]! << 8) | buffer[offset + 7]!;
  const word2 = ((buffer[offset + 8]! << 24) | (buffer[offset + 9]! << 16) | (buffer[offset + 10]! << 8) | buffer[offset + 11]!) >>> 0;
  const word3 = ((buffer[offset + 12]! << 24) | (buffer[offset + 13]! << 16) | (buffer[offset + 14]! << 8) | buffer[offset + 15]!) >>> 0;
  header.lba = word2 * 0x10000 + (word3 >>> 16);
  header.count = word3 & 0xffff;
  header.length = word2;
  header.aux = word3;
}

function writeWords(
  buffer: Buffer,
  offset: number,
  op: number,
  flags: number,
  handle: number,
  slot: number,
  seq: number,
  word2: number,
  word3: number,
): void {
  buffer[offset] = op;
  buffer[offset + 1] = flags;
  buffer[offset + 2] = handle >>> 8;
  buffer[offset + 3] = handle;
  buffer[offset + 4] = slot >>> 8;
  buffer[offset + 5] = slot;
  buffer[offset + 6] = seq >>> 8;
  buffer[offset + 7] = seq;
  buffer[offset + 8] = word2 >>> 24;
  buffer[offset + 9] = word2 >>> 16;
  buffer[offset + 10] = word2 >>> 8;
  buffer[offset + 11] = word2;
  buffer[offset + 12] = word3 >>> 24;
  buffer[offset + 13] = word3 >>> 16;
  buffer[offset + 14] = word3 >>> 8;
  buffer[offset + 15] = word3;
}

/** Writes the header of an I/O frame; `lba` < 2^48 sectors, `count` < 2^16. */
export function writeIoHeader(
  buffer: Buffer,
  offset: number,
  op: number,
  flags: number,
  handleOrStatus: number,
  slot: number,
  seq: number,
  lba: number,
  count: number,
): void {
  const high = Math.floor(lba / 0x10000);
  const low = lba - high * 0x10000;
  writeWords(buffer, offset, op, flags, handleOrStatus, slot, seq, high >>> 0, ((low << 16) | count) >>> 0);
}

/** Writes the header of a message frame; `length` in bytes. */
export function writeMessageHeader(
  buffer: Buffer,
  offset: number,
  op: number,
  flags: number,
  handleOrStatus: number,
  slot: number,
  seq: number,
  length: number,
  aux: number,
): void {
  writeWords(buffer, offset, op, flags, handleOrStatus, slot, seq, length, aux);
}

/**
 * Returns the length of the body that follows this header. Returns -1 if there is no frame with this op, or if an I/O body would exceed
 * IO_MAX_SECTORS. The caller must still check whether the peer may send this op, and whether a message exceeds its size limit.
 */
export function bodyLengthBytes(header: Header): number {
  const entry = frameEntry(header.op);
  if (entry === undefined) return -1;
  const isAnswer = (header.op & ANSWER) !== 0;
  if (isAnswer && !entry.isSlotted) return -1;
  if (entry.shape === 'message') return header.length;
  const carries = isAnswer ? entry.body === 'answer' && header.handle === 0 : entry.body === 'request';
  if (!carries) return 0;
  return header.count > IO_MAX_SECTORS ? -1 : header.count * SECTOR_BYTES;
}

/** Number of sectors that an I/O request covers. */
export function sectorsOf(op: number, flags: number, count: number): number {
  return (flags & FLAG.WIDE) !== 0 && (op === OP.DISCARD || op === OP.ZERO) ? count * WIDE_UNIT_SECTORS : count;
}
