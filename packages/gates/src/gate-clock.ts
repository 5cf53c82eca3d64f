// The time of gates: monotonic, and it goes on while the machine is suspended, which the monotonic clock may not. A step of the wall clock by
// GATE_GAP_MS or more counts as a suspend, because the two cannot be told apart; paths then seem older than they are. Invariant: the time
// never goes back. Rules: D1.

import type { Clock } from '@rsio/base/lib/clock';
import { GATE_GAP_MS } from './limits.ts';

export class GateClock {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  private addedMs = 0;
  /** By how much the wall clock is ahead of the monotonic clock. */
  private aheadMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'wallMs'>) {
    this.clock = clock;
    this.aheadMs = clock.wallMs() - clock.monotonicMs();
  }

  nowMs(): number {
    const monotonicMs = this.clock.monotonicMs();
    const aheadMs = this.clock.wallMs() - monotonicMs;
    if (aheadMs - this.aheadMs >= GATE_GAP_MS) this.addedMs += aheadMs - this.aheadMs;
    this.aheadMs = aheadMs;
    return monotonicMs + this.addedMs;
  }
}
