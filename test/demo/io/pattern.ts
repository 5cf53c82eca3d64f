// The data that the demo writes and later recognizes: every sector contains its block, its round of writing and its own number. Pure.
// Invariant: two sectors of different block, round or position never have the same bytes.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';

const STAMP_BYTES = 16;
const SALT = 0x5245_494f;

/** Fills `buffer` with the content of block `block` in round `round`. The buffer has a whole number of sectors. */
export function fillPattern(buffer: Buffer, block: number, round: number): void {
  const stamp = Buffer.alloc(STAMP_BYTES);
  stamp.writeUInt32BE(block, 0);
  stamp.writeUInt32BE(round, 4);
  stamp.writeUInt32BE((Math.imul(block + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b) ^ SALT) >>> 0, 8);
  buffer.fill(stamp);
  for (let at = 0; at < buffer.length; at += SECTOR_BYTES) buffer.writeUInt32BE(at / SECTOR_BYTES, at + STAMP_BYTES - 4);
}
