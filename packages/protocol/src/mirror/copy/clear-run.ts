// Executes one clearing (rule M3): flushes all replicas, locks the regions against changes, flushes again and clears the bits. The first
// flush may take long, but no change waits for it. Changes of the regions wait for the second flush, which is short. Invariant: the regions
// are locked from before the second flush until every replica has cleared its bits and the plan knows the result.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { STATUS } from '../../wire/status.ts';
import type { CopyIo, CopyLock } from './copy-ports.ts';
import { flushAll } from './flush-run.ts';
import { CLEAR_LOCK_MS } from '../limits.ts';
import type { Clearing } from './clear-plan.ts';

export interface ClearOrder {
  readonly clearing: Clearing;
  /** True as long as all members are in sync, each in the tenure that it had when the clearing began. */
  isValid(): boolean;
  /** Called once, while the regions are still locked. */
  ended(isCleared: boolean): void;
}

export class ClearRun {
  private readonly io: CopyIo;
  private readonly order: ClearOrder;
  private readonly clock: Clock;
  private readonly locks: CopyLock[] = [];
  private timer: Timer | null = null;
  private isOver = false;
  private missing = 0;

  constructor(io: CopyIo, clock: Clock, order: ClearOrder) {
    this.io = io;
    this.clock = clock;
    this.order = order;
  }

  start(): void {
    flushAll(this.io, this.order.clearing.members, (isFlushed) => {
      if (isFlushed && this.order.isValid()) this.takeLocks();
      else this.end(false);
    });
  }

  private takeLocks(): void {
    const { ranges } = this.order.clearing;
    this.timer = this.clock.after(CLEAR_LOCK_MS, () => this.end(false));
    this.missing = ranges.length / 2 + 1;
    for (let at = 0; at < ranges.length; at += 2) {
      const begin = ranges[at]! * MIRROR_REGION_BYTES;
      // Also locks the last region beyond the end of the volume, because the volume may grow during the clearing.
      const end = begin + ranges[at + 1]! * MIRROR_REGION_BYTES;
      this.locks.push(this.io.lock(begin, end, () => this.granted()));
    }
    this.granted();
  }

  private granted(): void {
    if (this.isOver || --this.missing > 0) return;
    this.timer?.cancel();
    if (!this.order.isValid()) return this.end(false);
    flushAll(this.io, this.order.clearing.members, (isFlushed) => {
      if (isFlushed && this.order.isValid()) this.clear();
      else this.end(false);
    });
  }

  private clear(): void {
    const { members, ranges } = this.order.clearing;
    let unanswered = members.length;
    let isCleared = true;
    for (const { identity } of members) {
      this.io.clearMap(identity, ranges, (status) => {
        if (status !== STATUS.OK) isCleared = false;
        if (--unanswered === 0) this.end(isCleared && this.order.isValid());
      });
    }
  }

  private end(isCleared: boolean): void {
    this.isOver = true;
    this.timer?.cancel();
    this.order.ended(isCleared);
    for (const lock of this.locks) lock.release();
  }
}
