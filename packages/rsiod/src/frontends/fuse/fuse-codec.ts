// Decodes FUSE requests from the bytes of one read, and encodes replies into a buffer. Pure. Even requests from the kernel are checked, so
// that decoding has a defined result for any bytes.
//
//   request   | length 4 | opcode 4 | unique 8 | inode 8 | uid 4 | gid 4 | pid 4 | extensions 2 | 0 2 | body, data of a WRITE
//   reply     | length 4 | error 4  | unique 8 | body, data of a READ

import {
  ATTR_REPLY_BYTES,
  BODY_BYTES,
  INIT_FLAG,
  INIT_FLAG2,
  MAJOR,
  MINOR_MAX,
  MINOR_MIN,
  NOTIFY,
  OPCODE,
  REPLY_HEADER_BYTES,
  REQUEST_HEADER_BYTES,
  ROOT_INODE,
  WRITE_PREFIX_BYTES,
} from './fuse-constants.ts';

const TWO_32 = 2 ** 32;

/** The header of a request. Header objects are re-used. */
export class FuseHeader {
  lengthBytes = 0;
  opcode = 0;
  /** The kernel's id of the request, stored as two 32-bit halves because the data path uses no bigint. */
  uniqueHigh = 0;
  uniqueLow = 0;
}

/**
 * `good` means that the header has been decoded and that the body is long enough for the opcode. An unknown opcode needs no body. `short`
 * means that the header can be decoded, so the request can be answered with an error. `bad` means that the request cannot even be answered.
 */
export type HeaderVerdict = 'good' | 'short' | 'bad';

/** Decodes the header of the request in the first `lengthBytes` bytes of `bytes`, and stores the header in `into`. */
export function readHeader(bytes: Buffer, lengthBytes: number, into: FuseHeader): HeaderVerdict {
  if (lengthBytes < REQUEST_HEADER_BYTES) return 'bad';
  into.lengthBytes = bytes.readUInt32LE(0);
  into.opcode = bytes.readUInt32LE(4);
  into.uniqueLow = bytes.readUInt32LE(8);
  into.uniqueHigh = bytes.readUInt32LE(12);
  if (into.lengthBytes !== lengthBytes) return 'short';
  const body = BODY_BYTES[into.opcode] ?? 0;
  if (lengthBytes < REQUEST_HEADER_BYTES + body) return 'short';
  if (into.opcode === OPCODE.WRITE && lengthBytes - WRITE_PREFIX_BYTES !== readSize(bytes)) return 'short';
  return 'good';
}

/** Returns the offset in a READ, WRITE, FALLOCATE or LSEEK. An offset above 2^53 is inexact, but lies past the end of every volume. */
export function readOffset(bytes: Buffer): number {
  return readUint64(bytes, REQUEST_HEADER_BYTES + 8);
}

/** Returns the size in a READ or WRITE. */
export function readSize(bytes: Buffer): number {
  return bytes.readUInt32LE(REQUEST_HEADER_BYTES + 16);
}

/** Returns the open(2) flags of the file descriptor through which the program writes. */
export function readWriteFlags(bytes: Buffer): number {
  return bytes.readUInt32LE(REQUEST_HEADER_BYTES + 32);
}

export function readOpenFlags(bytes: Buffer): number {
  return bytes.readUInt32LE(REQUEST_HEADER_BYTES);
}

export function readFallocate(bytes: Buffer): { readonly lengthBytes: number; readonly mode: number } {
  return { lengthBytes: readUint64(bytes, REQUEST_HEADER_BYTES + 16), mode: bytes.readUInt32LE(REQUEST_HEADER_BYTES + 24) };
}

export function readWhence(bytes: Buffer): number {
  return bytes.readUInt32LE(REQUEST_HEADER_BYTES + 16);
}

export interface SetAttr {
  /** Bit mask of the valid fields; SET in fuse-constants.ts defines the bits. */
  readonly valid: number;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export function readSetAttr(bytes: Buffer): SetAttr {
  const at = REQUEST_HEADER_BYTES;
  return {
    valid: bytes.readUInt32LE(at),
    sizeBytes: readUint64(bytes, at + 16),
    mode: bytes.readUInt32LE(at + 68),
    uid: bytes.readUInt32LE(at + 76),
    gid: bytes.readUInt32LE(at + 80),
  };
}

/** True if the INTERRUPT in `bytes` applies to the request with this header. */
export function isInterruptOf(bytes: Buffer, { uniqueLow, uniqueHigh }: FuseHeader): boolean {
  return bytes.readUInt32LE(REQUEST_HEADER_BYTES) === uniqueLow && bytes.readUInt32LE(REQUEST_HEADER_BYTES + 4) === uniqueHigh;
}

export interface InitOffer {
  readonly major: number;
  readonly minor: number;
  readonly maxReadaheadBytes: number;
  readonly flags: number;
  /** True if the kernel can resend requests that have been read but not answered. */
  readonly canResend: boolean;
}

export function readInit(bytes: Buffer): InitOffer {
  const at = REQUEST_HEADER_BYTES;
  const flags = bytes.readUInt32LE(at + 12);
  const isLong = (flags & INIT_FLAG.EXTENDED) !== 0 && bytes.readUInt32LE(0) >= at + 20;
  return {
    major: bytes.readUInt32LE(at),
    minor: bytes.readUInt32LE(at + 4),
    maxReadaheadBytes: bytes.readUInt32LE(at + 8),
    flags,
    canResend: isLong && (bytes.readUInt32LE(at + 16) & INIT_FLAG2.HAS_RESEND) !== 0,
  };
}

/** Chooses the minor version and the flags to use. Returns null if the kernel is too old or uses another major version. */
export function agree({
  major,
  minor,
  flags,
}: Pick<InitOffer, 'major' | 'minor' | 'flags'>): { readonly minor: number; readonly flags: number } | null {
  if (major !== MAJOR || minor < MINOR_MIN) return null;
  const wanted = INIT_FLAG.ASYNC_READ | INIT_FLAG.BIG_WRITES | INIT_FLAG.ASYNC_DIO | INIT_FLAG.MAX_PAGES;
  return { minor: Math.min(minor, MINOR_MAX), flags: flags & wanted };
}

// --- replies: each function returns the position after the bytes that it wrote

export function writeReplyHeader(into: Buffer, at: number, to: FuseHeader, errno: number, bodyBytes: number): number {
  into.writeUInt32LE(REPLY_HEADER_BYTES + bodyBytes, at);
  into.writeInt32LE(-errno, at + 4);
  into.writeUInt32LE(to.uniqueLow, at + 8);
  into.writeUInt32LE(to.uniqueHigh, at + 12);
  return at + REPLY_HEADER_BYTES;
}

/** Writes the notification that makes the kernel resend each unanswered request. */
export function writeResend(into: Buffer): number {
  into.fill(0, 0, REPLY_HEADER_BYTES);
  into.writeUInt32LE(REPLY_HEADER_BYTES, 0);
  into.writeInt32LE(NOTIFY.RESEND, 4);
  return REPLY_HEADER_BYTES;
}

export interface InitReply {
  readonly minor: number;
  readonly flags: number;
  readonly maxReadaheadBytes: number;
  readonly backgroundMax: number;
  readonly writeMaxBytes: number;
  readonly pagesMax: number;
}

export function writeInitReply(into: Buffer, to: FuseHeader, reply: InitReply): number {
  const bodyBytes = 64;
  const at = writeReplyHeader(into, 0, to, 0, bodyBytes);
  into.fill(0, at, at + bodyBytes);
  into.writeUInt32LE(MAJOR, at);
  into.writeUInt32LE(reply.minor, at + 4);
  into.writeUInt32LE(reply.maxReadaheadBytes, at + 8);
  into.writeUInt32LE(reply.flags, at + 12);
  into.writeUInt16LE(reply.backgroundMax, at + 16);
  into.writeUInt16LE(reply.backgroundMax, at + 18);
  into.writeUInt32LE(reply.writeMaxBytes, at + 20);
  // Timestamps have a granularity of 1 ns.
  into.writeUInt32LE(1, at + 24);
  into.writeUInt16LE(reply.pagesMax, at + 28);
  return at + bodyBytes;
}

export interface FileAttr {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly timeMs: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The reply tells the kernel not to cache the attributes, so that programs always get the current size. */
export function writeAttrReply(into: Buffer, to: FuseHeader, attr: FileAttr): number {
  const header = writeReplyHeader(into, 0, to, 0, ATTR_REPLY_BYTES - REPLY_HEADER_BYTES);
  into.fill(0, header, ATTR_REPLY_BYTES);
  const at = header + 16;
  writeUint64(into, at, ROOT_INODE);
  writeUint64(into, at + 8, attr.sizeBytes);
  writeUint64(into, at + 16, attr.sizeBytes / 512);
  const seconds = Math.floor(attr.timeMs / 1000);
  for (const time of [24, 32, 40]) writeUint64(into, at + time, seconds);
  into.writeUInt32LE(attr.mode, at + 60);
  into.writeUInt32LE(1, at + 64);
  into.writeUInt32LE(attr.uid, at + 68);
  into.writeUInt32LE(attr.gid, at + 72);
  into.writeUInt32LE(attr.blockSizeBytes, at + 80);
  return ATTR_REPLY_BYTES;
}

export function writeOpenReply(into: Buffer, to: FuseHeader, handle: number, flags: number): number {
  const at = writeReplyHeader(into, 0, to, 0, 16);
  writeUint64(into, at, handle);
  into.writeUInt32LE(flags, at + 8);
  into.writeUInt32LE(0, at + 12);
  return at + 16;
}

export function writeWriteReply(into: Buffer, to: FuseHeader, writtenBytes: number): number {
  const at = writeReplyHeader(into, 0, to, 0, 8);
  into.writeUInt32LE(writtenBytes, at);
  into.writeUInt32LE(0, at + 4);
  return at + 8;
}

export function writeSeekReply(into: Buffer, to: FuseHeader, offsetBytes: number): number {
  const at = writeReplyHeader(into, 0, to, 0, 8);
  writeUint64(into, at, offsetBytes);
  return at + 8;
}

/** Reports a full file system that contains one file. The kernel's loop driver uses the block size as the granularity of discards. */
export function writeStatfsReply(into: Buffer, to: FuseHeader, sizeBytes: number, blockSizeBytes: number): number {
  const bodyBytes = 80;
  const at = writeReplyHeader(into, 0, to, 0, bodyBytes);
  into.fill(0, at, at + bodyBytes);
  writeUint64(into, at, sizeBytes / blockSizeBytes);
  writeUint64(into, at + 24, 1);
  into.writeUInt32LE(blockSizeBytes, at + 40);
  into.writeUInt32LE(255, at + 44);
  into.writeUInt32LE(blockSizeBytes, at + 48);
  return at + bodyBytes;
}

function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
}

function writeUint64(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value % TWO_32, at);
  into.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}
