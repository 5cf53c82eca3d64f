// A clock for simulating a process that stops for a while, for example after SIGSTOP or during a long garbage collection. During the stall,
// time passes but no timer fires. After the stall, the timers that fell due during the stall fire in order.

import type { Clock, Timer } from '../lib/clock.ts';

export class StallingClock implements Clock {
  private readonly below: Clock;
  private isStalled = false;
  private due: { fire: () => void; isCancelled: boolean }[] = [];

  constructor(below: Clock) {
    this.below = below;
  }

  monotonicMs(): number {
    return this.below.monotonicMs();
  }

  wallMs(): number {
    return this.below.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    const entry = { fire, isCancelled: false };
    const timer = this.below.after(delayMs, () => {
      if (this.isStalled) this.due.push(entry);
      else fire();
    });
    return {
      cancel: () => {
        entry.isCancelled = true;
        timer.cancel();
      },
    };
  }

  soon(fire: () => void): void {
    this.after(0, fire);
  }

  stall(): void {
    this.isStalled = true;
  }

  goOn(): void {
    this.isStalled = false;
    for (const entry of this.due.splice(0)) if (!entry.isCancelled) entry.fire();
  }
}
