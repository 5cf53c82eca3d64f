// Builds the PDUs that a controller sends, and reads ICReq. Each function writes into a given buffer at a given position and returns the
// position after the PDU. Pure. Source: NVMe/TCP transport specification 1.0, 3.6.
//
//   0 type | 1 flags | 2 hlen | 3 pdo | 4-7 plen       common header, 8 bytes; then the rest of the header, a digest of the header if
//                                                     agreed, padding up to pdo, the data, a digest of the data if agreed

import { CRC32C_BEGIN, crc32c, crc32cUpdate, crc32cValue } from './crc32c.ts';
import { DIGEST_BYTES, HEADER_BYTES, PDU, PDU_FLAG, TERM_DATA_MAX_BYTES } from './constants.ts';

/** What both sides have agreed on with ICReq and ICResp. */
export interface Digests {
  readonly header: boolean;
  readonly data: boolean;
}

export const NO_DIGESTS: Digests = { header: false, data: false };

/** Most bytes of `writeResponse` and of `writeR2t`. */
export const RESPONSE_MAX_BYTES = HEADER_BYTES.capsuleResp + DIGEST_BYTES;
export const R2T_MAX_BYTES = HEADER_BYTES.r2t + DIGEST_BYTES;

function writeCommon(bytes: Buffer, at: number, type: number, flags: number, headerBytes: number, pdo: number, plen: number): void {
  bytes[at] = type;
  bytes[at + 1] = flags;
  bytes[at + 2] = headerBytes;
  bytes[at + 3] = pdo;
  put32(bytes, at + 4, plen);
}

/** Each answer contains about ten of these numbers; the checks in Buffer's own functions would cost more than the writes. */
function put16(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

function put32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function digestHeader(bytes: Buffer, at: number, headerBytes: number, has: boolean): number {
  const behind = at + headerBytes;
  return has ? bytes.writeUInt32LE(crc32c(bytes, at, behind), behind) : behind;
}

/** Returns the digests that a host asks for in ICReq, or the offset of a field with a value that gates do not support. */
export function readIcRequest(bytes: Buffer, at: number): Digests | number {
  // The version of the format, and HPDA: the alignment that the host wants for data, in dwords minus 1.
  if (bytes.readUInt16LE(at + 8) !== 0) return 8;
  if (bytes[at + 10] !== 0) return 10;
  const wanted = bytes[at + 11]!;
  return { header: (wanted & 1) !== 0, data: (wanted & 2) !== 0 };
}

/** ICResp. `dataMaxBytes` is the most data that the host may send in one H2CData PDU; a multiple of 4. */
export function icResponse(digests: Digests, dataMaxBytes: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES.ic);
  writeCommon(bytes, 0, PDU.IC_RESP, 0, HEADER_BYTES.ic, 0, HEADER_BYTES.ic);
  bytes[11] = (digests.header ? 1 : 0) | (digests.data ? 2 : 0);
  bytes.writeUInt32LE(dataMaxBytes, 12);
  return bytes;
}

/** C2HTermReq. `information` is the offset of the wrong field; `cause` begins with the header that contains this field. */
export function termination(reason: number, information: number, cause: Buffer): Buffer {
  const copied = cause.subarray(0, TERM_DATA_MAX_BYTES);
  const bytes = Buffer.alloc(HEADER_BYTES.term + copied.length);
  writeCommon(bytes, 0, PDU.C2H_TERM, 0, HEADER_BYTES.term, 0, bytes.length);
  bytes.writeUInt16LE(reason, 8);
  bytes.writeUInt32LE(information, 10);
  copied.copy(bytes, HEADER_BYTES.term);
  return bytes;
}

/** The completion of a command. `low` and `high` are its first eight bytes. */
export interface Completion {
  readonly low: number;
  readonly high: number;
  readonly sqhd: number;
  readonly cid: number;
  /** A CODE, with DNR if the host must not repeat the command. */
  readonly status: number;
}

/** CapsuleResp. `flags` are those of the agreed digests. */
export function writeResponse(bytes: Buffer, at: number, answer: Completion, digests: Digests): number {
  const plen = HEADER_BYTES.capsuleResp + (digests.header ? DIGEST_BYTES : 0);
  writeCommon(bytes, at, PDU.CAPSULE_RESP, digests.header ? PDU_FLAG.HDGST : 0, HEADER_BYTES.capsuleResp, 0, plen);
  put32(bytes, at + 8, answer.low);
  put32(bytes, at + 12, answer.high);
  put32(bytes, at + 16, answer.sqhd);
  put16(bytes, at + 20, answer.cid);
  put16(bytes, at + 22, answer.status << 1);
  return digestHeader(bytes, at, HEADER_BYTES.capsuleResp, digests.header);
}

/** Length of the header of C2HData with its digest; the data follows without a gap. */
export function dataHeaderBytes(digests: Digests): number {
  return HEADER_BYTES.data + (digests.header ? DIGEST_BYTES : 0);
}

/**
 * The header of a C2HData PDU with all data of a command. `isSuccess`: the PDU is the command's completion, too, and no CapsuleResp
 * follows.
 */
export function writeDataHeader(
  bytes: Buffer,
  at: number,
  command: { readonly cid: number; readonly dataBytes: number; readonly isSuccess: boolean },
  digests: Digests,
): number {
  const { cid, dataBytes, isSuccess } = command;
  const pdo = dataHeaderBytes(digests);
  const flags =
    PDU_FLAG.LAST | (isSuccess ? PDU_FLAG.SUCCESS : 0) | (digests.header ? PDU_FLAG.HDGST : 0) | (digests.data ? PDU_FLAG.DDGST : 0);
  writeCommon(bytes, at, PDU.C2H_DATA, flags, HEADER_BYTES.data, pdo, pdo + dataBytes + (digests.data ? DIGEST_BYTES : 0));
  put32(bytes, at + 8, cid);
  put32(bytes, at + 12, 0);
  put32(bytes, at + 16, dataBytes);
  put32(bytes, at + 20, 0);
  return digestHeader(bytes, at, HEADER_BYTES.data, digests.header);
}

/** If data digests are agreed, writes the digest of the data from `start` to `end` after the data. */
export function writeDataDigest(bytes: Buffer, start: number, end: number, digests: Digests): number {
  return digests.data ? bytes.writeUInt32LE(crc32cValue(crc32cUpdate(CRC32C_BEGIN, bytes, start, end)), end) : end;
}

/** R2T: asks for `lengthBytes` bytes of a command's data, from its first byte on. The host returns `tag` with the data. */
export function writeR2t(bytes: Buffer, at: number, cid: number, tag: number, lengthBytes: number, digests: Digests): number {
  const plen = HEADER_BYTES.r2t + (digests.header ? DIGEST_BYTES : 0);
  writeCommon(bytes, at, PDU.R2T, digests.header ? PDU_FLAG.HDGST : 0, HEADER_BYTES.r2t, 0, plen);
  bytes.writeUInt16LE(cid, at + 8);
  bytes.writeUInt16LE(tag, at + 10);
  bytes.writeUInt32LE(0, at + 12);
  bytes.writeUInt32LE(lengthBytes, at + 16);
  bytes.writeUInt32LE(0, at + 20);
  return digestHeader(bytes, at, HEADER_BYTES.r2t, digests.header);
}
