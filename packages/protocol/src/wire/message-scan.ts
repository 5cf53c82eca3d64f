// Scans the MessagePack of a received body before it is decoded. After the scan, the guards check the fields of the decoded body.
// Invariant: an accepted body has only maps with text keys, arrays, text, bytes, numbers, booleans and nil. An accepted body is at most
// MESSAGE_DEPTH_MAX deep, and every value ends within the body. Extension types are refused, because a general decoder would build errors,
// patterns and record readers from a peer's bytes.

import { MESSAGE_DEPTH_MAX } from './limits.ts';

const WRONG = -1;

/** Number of bytes after the type byte, for values of fixed size. */
const SCALAR_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
]);

/** Size of the length or count after the type byte, for bytes, text, arrays and maps. */
const LENGTH_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
  [0xde, 2],
  [0xdf, 4],
]);

function isText(type: number): boolean {
  return (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
}

/** Returns the offset of the byte after the first value of bytes[start, end), or -1 if the value is invalid. */
export function scanValue(bytes: Buffer, start: number, end: number): number {
  return scan(bytes, start, end, 0);
}

function scan(bytes: Buffer, at: number, end: number, depth: number): number {
  if (at >= end) return WRONG;
  const type = bytes[at]!;
  if (type <= 0x7f || type >= 0xe0) return at + 1;
  if (type <= 0x8f) return scanEntries(bytes, at + 1, end, type & 0x0f, true, depth);
  if (type <= 0x9f) return scanEntries(bytes, at + 1, end, type & 0x0f, false, depth);
  if (type <= 0xbf) return within(at + 1 + (type & 0x1f), end);
  const scalarBytes = SCALAR_BYTES.get(type);
  if (scalarBytes !== undefined) return within(at + 1 + scalarBytes, end);
  const lengthBytes = LENGTH_BYTES.get(type);
  if (lengthBytes === undefined || at + 1 + lengthBytes > end) return WRONG;
  const length = bytes.readUIntBE(at + 1, lengthBytes);
  const next = at + 1 + lengthBytes;
  return type >= 0xdc ? scanEntries(bytes, next, end, length, type >= 0xde, depth) : within(next + length, end);
}

function scanEntries(bytes: Buffer, at: number, end: number, count: number, isMap: boolean, depth: number): number {
  if (depth === MESSAGE_DEPTH_MAX) return WRONG;
  // A forged count cannot prolong the loop: each entry takes at least one byte, and the first missing entry ends the loop.
  let next = at;
  for (let entry = 0; entry < count && next !== WRONG; entry++) {
    if (isMap) {
      if (!isText(bytes[next] ?? 0)) return WRONG;
      next = scan(bytes, next, end, depth + 1);
      if (next === WRONG) return WRONG;
    }
    next = scan(bytes, next, end, depth + 1);
  }
  return next;
}

function within(next: number, end: number): number {
  return next <= end ? next : WRONG;
}
