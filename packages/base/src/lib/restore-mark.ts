// The mark at the beginning of a volume while a restore overwrites it. Invariant: no program takes the mark for a file system, or a volume with
// the mark for an empty one.

import { assert } from './assert.ts';

/** Size of the mark, which has one line in each sector. */
export const RESTORE_MARK_BYTES = 4_096;
const SECTOR_BYTES = 512;
const LINE = Buffer.from('RSIO: a restore of this volume has not completed\n', 'latin1');

assert(LINE.length < SECTOR_BYTES, 'A line of the mark fits into a sector');

export function restoreMark(): Buffer {
  const bytes = Buffer.alloc(RESTORE_MARK_BYTES);
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) LINE.copy(bytes, at);
  return bytes;
}

/** `first`: the first bytes of a volume. */
export function hasRestoreMark(first: Uint8Array): boolean {
  return LINE.equals(first.subarray(0, LINE.length));
}
