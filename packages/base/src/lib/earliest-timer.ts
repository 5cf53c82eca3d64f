// A timer that several callers share. The timer fires at the earliest requested time and forgets the later times. Invariant: after the
// timer has fired, a caller that needs a later time must request that time again.

import type { Clock, Timer } from './clock.ts';

export class EarliestTimer {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  private readonly fire: () => void;
  private timer: Timer | null = null;
  private atMs = Number.POSITIVE_INFINITY;
  private readonly fired = (): void => {
    this.atMs = Number.POSITIVE_INFINITY;
    this.fire();
  };

  constructor(clock: Pick<Clock, 'monotonicMs' | 'after'>, fire: () => void) {
    this.clock = clock;
    this.fire = fire;
  }

  /** `atMs`: monotonic time; Infinity for never. */
  at(atMs: number): void {
    if (atMs >= this.atMs) return;
    this.timer?.cancel();
    this.atMs = atMs;
    this.timer = this.clock.after(Math.max(0, atMs - this.clock.monotonicMs()), this.fired);
  }

  cancel(): void {
    this.timer?.cancel();
    this.atMs = Number.POSITIVE_INFINITY;
  }
}
