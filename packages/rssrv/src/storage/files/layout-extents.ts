// Merges the extents of the files of one volume into the extents of the volume. Pure. Invariants: a sector counts as a hole only if it is a
// hole in its file. The result has no gaps, and ends where the extents of one of the files end.

import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { appendExtent } from './range-operations.ts';
import type { LayoutMap } from './layout-map.ts';

/**
 * `found`: for each file, pairs (number of sectors, EXTENT state) from the start of the range in the file. A file outside the range may
 * have no pairs. Returns pairs that begin at `positionBytes` and may cover less than `lengthBytes`.
 */
export function mergedExtents(map: LayoutMap, positionBytes: number, lengthBytes: number, found: readonly (readonly number[])[]): number[] {
  const lists = found.map((pairs) => new ExtentReader(pairs));
  const merged: number[] = [];
  for (let offset = 0; offset < lengthBytes; ) {
    map.seek(positionBytes + offset);
    const list = lists[map.part];
    let leftSectors = Math.min(map.runBytes, lengthBytes - offset) / SECTOR_BYTES;
    offset += leftSectors * SECTOR_BYTES;
    while (leftSectors > 0) {
      const sectors = list?.take(leftSectors) ?? 0;
      if (sectors === 0 || merged.length > 2 * EXTENTS_PER_ANSWER_MAX) return merged;
      appendExtent(merged, sectors, list?.isHole === true ? EXTENT.HOLE : EXTENT.DATA);
      leftSectors -= sectors;
    }
  }
  return merged;
}

class ExtentReader {
  isHole = false;
  private readonly pairs: readonly number[];
  private next = 0;
  private leftSectors = 0;

  constructor(pairs: readonly number[]) {
    this.pairs = pairs;
  }

  /** Takes at most `sectors` sectors that have the same state. Returns the number of sectors taken; 0 at the end of the list. */
  take(sectors: number): number {
    while (this.leftSectors === 0) {
      if (this.next >= this.pairs.length) return 0;
      this.leftSectors = this.pairs[this.next] ?? 0;
      this.isHole = this.pairs[this.next + 1] === EXTENT.HOLE;
      this.next += 2;
    }
    const taken = Math.min(sectors, this.leftSectors);
    this.leftSectors -= taken;
    return taken;
  }
}
