// Implements a clock whose time changes only when the test advances the clock. Timers fire in the order of their due times; timers due at
// the same time fire in the order of creation. Invariant: while a timer fires, the clock shows the timer's due time. A new timer that falls
// due during the current advance of the clock fires too.

import type { Clock, Timer } from '../lib/clock.ts';

interface Pending {
  dueMs: number;
  order: number;
  fire: () => void;
}

export class FakeClock implements Clock {
  private nowMs = 0;
  private order = 0;
  private startWallMs: number;
  private pending: Pending[] = [];

  constructor(startWallMs = Date.UTC(2010, 8, 14, 15, 2, 32)) {
    this.startWallMs = startWallMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.startWallMs + this.nowMs;
  }

  /** Moves the wall clock forwards or backwards by `byMs`, as if the machine's clock had been set. */
  jumpWall(byMs: number): void {
    this.startWallMs += byMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const entry: Pending = { dueMs: this.nowMs + Math.max(0, delayMs), order: this.order++, fire };
    this.pending.push(entry);
    return {
      cancel: () => {
        this.pending = this.pending.filter((other) => other !== entry);
      },
    };
  }

  soon(fire: () => void): void {
    this.after(0, fire);
  }

  get timersPending(): number {
    return this.pending.length;
  }

  /** Advances time by `durationMs` and fires every timer that falls due within that time. */
  advance(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const next = this.earliest();
      if (next === undefined || next.dueMs > endMs) break;
      this.pending = this.pending.filter((other) => other !== next);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.fire();
    }
    this.nowMs = endMs;
  }

  private earliest(): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.pending) {
      if (best === undefined || entry.dueMs < best.dueMs || (entry.dueMs === best.dueMs && entry.order < best.order)) best = entry;
    }
    return best;
  }
}
