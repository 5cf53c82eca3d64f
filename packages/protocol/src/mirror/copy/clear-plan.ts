// Decides which bits of the intent maps are cleared next (rule M3): the bits of regions that were not changed for a while. The copier
// executes a clearing: it locks the regions against changes, flushes all replicas, and clears the bits. Invariants: only one clearing is in
// progress. A clearing counts only if all members stay in sync and keep their tenures.

import { assert } from '@rsio/base/lib/assert';
import type { Lacks } from '../lacks/lacks.ts';
import { RegionSet } from '../region-set.ts';
import { CLEAR_REGIONS_MAX, CLEAR_RUNS_MAX } from '../limits.ts';
import { isSame, type Tenant } from './tenants.ts';

export interface Clearing {
  /** Ranges of regions, as pairs of the first region and the number of regions. */
  readonly ranges: readonly number[];
  readonly members: readonly Tenant[];
}

export class ClearPlan {
  private readonly touched: RegionSet;
  private readonly unsettled: RegionSet;
  private readonly lacks: Pick<Lacks, 'cleared'>;
  /** `recent`: regions changed since the last call of `rotate`. `before`: regions changed between the last two calls. */
  private recent = new RegionSet();
  private before = new RegionSet();
  private members: readonly Tenant[] | null = null;
  private clearing: Clearing | null = null;
  private cursor = 0;
  private kept: number | null = null;

  constructor(touched: RegionSet, unsettled: RegionSet, lacks: Pick<Lacks, 'cleared'>) {
    this.touched = touched;
    this.unsettled = unsettled;
    this.lacks = lacks;
  }

  /** Starts to record which regions are changed. Must be called before the first `next`. */
  watch(): void {
    this.touched.watcher = this.recent;
  }

  /** `members`: all replicas; null unless all members are in sync and can be used, and no configuration is pending. */
  setMembers(members: readonly Tenant[] | null): void {
    this.members = members;
  }

  /** Sets the region whose bit stays set (M21). If `region` is null, each bit may be cleared. */
  setKept(region: number | null): void {
    this.kept = region;
  }

  /** Called every CLEAR_IDLE_MS: regions without a change since the previous call become idle. */
  rotate(): void {
    const old = this.before;
    this.before = this.recent;
    old.clear();
    this.recent = old;
    this.touched.watcher = old;
  }

  /** Returns the next clearing; null if no bit can be cleared now, or if a clearing is in progress. */
  next(): Clearing | null {
    if (this.members === null || this.clearing !== null || this.touched.count === 0) return null;
    const ranges = this.runs();
    if (ranges.length === 0) return null;
    this.clearing = { ranges, members: this.members };
    return this.clearing;
  }

  /** True as long as the members and their tenures are the same as when the clearing began, and all regions of the clearing are settled. */
  isValid({ ranges, members }: Clearing): boolean {
    if (this.members === null || !isSame(this.members, members)) return false;
    for (let at = 0; at < ranges.length; at += 2) {
      const region = this.unsettled.firstFrom(ranges[at]!);
      if (region >= 0 && region < ranges[at]! + ranges[at + 1]!) return false;
    }
    return true;
  }

  /** Called when a clearing has ended. `isCleared`: true if all replicas have cleared the bits, and the regions were locked until now. */
  ended(clearing: Clearing, isCleared: boolean): void {
    assert(clearing === this.clearing, 'A clearing ends that is not in progress');
    this.clearing = null;
    if (!isCleared) return;
    const { ranges } = clearing;
    for (let at = 0; at < ranges.length; at += 2) {
      for (let count = 0; count < ranges[at + 1]!; count++) {
        this.touched.remove(ranges[at]! + count);
        this.lacks.cleared(ranges[at]! + count);
      }
    }
  }

  private runs(): number[] {
    const ranges: number[] = [];
    let total = 0;
    let region = this.touched.firstFrom(this.cursor);
    while (region >= 0 && ranges.length < 2 * CLEAR_RUNS_MAX && total < CLEAR_REGIONS_MAX) {
      if (!this.isIdle(region)) {
        region = this.touched.firstFrom(region + 1);
        continue;
      }
      let end = region + 1;
      while (total + end - region < CLEAR_REGIONS_MAX && this.touched.has(end) && this.isIdle(end)) end++;
      ranges.push(region, end - region);
      total += end - region;
      region = this.touched.firstFrom(end);
    }
    this.cursor = region < 0 ? 0 : region;
    return ranges;
  }

  private isIdle(region: number): boolean {
    return region !== this.kept && !this.recent.has(region) && !this.before.has(region) && !this.unsettled.has(region);
  }
}
