// Keeps the time of the last change of each block, for recently changed regions. TimesBudget bounds the memory of all mirrors: regions
// beyond the budget share one time. Times are ticks of the owner's clock. Invariant: the time of a block is at or after the end of the
// block's last change, and never before it.

import { assert, counted } from '@rsio/base/lib/assert';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import type { Blocks } from './block-set.ts';
import { CHANGE_REGIONS_MAX, LACK_BLOCK_BYTES, LACK_BLOCKS, TIMED_REGIONS_MAX } from '../limits.ts';

/** Number of regions that may have a time for each block, shared by all mirrors of a process. */
export class TimesBudget {
  private left: number;

  constructor(regions = TIMED_REGIONS_MAX) {
    this.left = regions;
  }

  take(): boolean {
    if (this.left === 0) return false;
    this.left = counted(this.left - 1, 'changes whose time is kept');
    return true;
  }

  giveBack(regions: number): void {
    this.left += regions;
  }
}

export class ChangeTimes {
  private readonly timed = new Map<number, Uint32Array>();
  private readonly budget: TimesBudget;
  /** The time of all regions that do not have a time for each block. */
  private common = 0;
  private isEnded = false;

  constructor(budget: TimesBudget) {
    this.budget = budget;
  }

  /** Notes that a change of this range has ended at the time `tick`. */
  mark(beginBytes: number, endBytes: number, tick: number): void {
    const first = Math.floor(beginBytes / MIRROR_REGION_BYTES);
    const last = Math.ceil(endBytes / MIRROR_REGION_BYTES) - 1;
    const isWide = last - first >= CHANGE_REGIONS_MAX;
    if (isWide) this.common = tick;
    for (let region = first; region <= last; region++) {
      const times = this.timed.get(region) ?? (isWide ? null : this.begin(region));
      if (times === null) this.common = tick;
      else {
        const base = region * MIRROR_REGION_BYTES;
        const from = Math.max(0, Math.floor((beginBytes - base) / LACK_BLOCK_BYTES));
        times.fill(tick, from, Math.min(LACK_BLOCKS, Math.ceil((endBytes - base) / LACK_BLOCK_BYTES)));
      }
    }
  }

  /** Makes every block count as changed at the time `tick`. */
  markAll(tick: number): void {
    this.forget();
    this.common = tick;
  }

  /** Forgets the times of a region that is equal on all replicas and durable. */
  drop(region: number): void {
    if (this.timed.delete(region)) this.budget.giveBack(1);
  }

  /** Called when these times are no longer needed: `changedSince` is not called after this method. */
  end(): void {
    this.forget();
    this.isEnded = true;
  }

  private forget(): void {
    this.budget.giveBack(this.timed.size);
    this.timed.clear();
  }

  /** Returns the blocks of the region whose last change may have ended at `tick` or later. */
  changedSince(region: number, tick: number): Blocks {
    const times = this.timed.get(region);
    if (times === undefined) return this.common >= tick ? 'whole' : null;
    const bits = new Uint32Array(LACK_BLOCKS / 32);
    let isAny = false;
    for (let block = 0; block < LACK_BLOCKS; block++) {
      if (times[block]! < tick) continue;
      bits[block >>> 5]! |= 1 << (block & 31);
      isAny = true;
    }
    return isAny ? bits : null;
  }

  private begin(region: number): Uint32Array | null {
    if (this.isEnded || !this.budget.take()) return null;
    const times = new Uint32Array(LACK_BLOCKS).fill(this.common);
    assert(!this.timed.has(region), 'A region has two times');
    this.timed.set(region, times);
    return times;
  }
}
