// Reads the intent map of one replica page by page. Invariant: a map is complete only if the pages that were read cover all of its regions
// without a gap.

import type { MirrorMapAnswer } from '../../wire/mirror-messages.ts';
import type { RegionSet } from '../region-set.ts';

export interface MapPage {
  readonly first: number;
}

export class MapReader {
  isComplete = false;
  private first = 0;
  private asked: MapPage | null = null;

  begin(): void {
    this.first = 0;
    this.asked = null;
    this.isComplete = false;
  }

  /** Returns the page to read now; null if the map is complete, or if a page is being read. */
  next(): MapPage | null {
    if (this.isComplete || this.asked !== null) return null;
    this.asked = { first: this.first };
    return this.asked;
  }

  /**
   * Adds the regions of a page to `set`. `regions`: number of regions of the mirror. Regions of the replica beyond this number are ignored.
   * If the replica has fewer regions, the missing regions are added. `answer`: null if the page could not be read. Returns false if the
   * answer is malformed.
   */
  read(page: MapPage, answer: MirrorMapAnswer | null, regions: number, set: RegionSet): boolean {
    if (page !== this.asked) return true;
    this.asked = null;
    if (answer === null) return true;
    const end = answer.first + answer.bits.length * 8;
    if (answer.first !== this.first || (end < answer.regions && answer.bits.length === 0)) return false;
    const known = Math.min(regions, answer.regions);
    const useful = Math.ceil(Math.max(0, known - answer.first) / 8);
    set.addBits(answer.first, answer.bits.subarray(0, useful));
    for (let region = set.firstFrom(regions); region >= 0; region = set.firstFrom(region)) set.remove(region);
    this.first = end;
    this.isComplete = end >= known;
    // Also add the last region of a smaller replica, because the replica may have only a part of this region.
    if (this.isComplete && answer.regions < regions) for (let region = Math.max(0, known - 1); region < regions; region++) set.add(region);
    return true;
  }
}
