// Finds gaps of the event loop, in which this process did not run, for gates of AoE: their hosts have no connection whose order could be
// compared (D1), so that nothing that has arrived meanwhile may be executed. Invariant: after a gap of GATE_GAP_MS or more, `gap` is called
// before any frame is executed.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { GATE_GAP_MS, GATE_TICK_MS } from './limits.ts';

export class GapWatch {
  private readonly clock: Clock;
  private readonly gap: (lengthMs: number) => void;
  private readonly tick: () => void;
  private timer: Timer | null = null;
  /** The time of the last tick, by both clocks. The wall clock goes on while a machine is suspended, and the monotonic clock may not. */
  private lastMs = 0;
  private lastWallMs = 0;

  /** While started, calls `tick` every GATE_TICK_MS, and after a gap calls `gap` before anything else. */
  constructor(clock: Clock, gap: (lengthMs: number) => void, tick: () => void) {
    this.clock = clock;
    this.gap = gap;
    this.tick = tick;
  }

  start(): void {
    if (this.timer !== null) return;
    this.note();
    this.wait();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  /** Returns true, after a call of `gap`, if there has been a gap since the last tick. Call it before anything received is executed. */
  look(): boolean {
    const lengthMs = Math.max(this.clock.monotonicMs() - this.lastMs, this.clock.wallMs() - this.lastWallMs);
    if (lengthMs < GATE_GAP_MS) return false;
    this.note();
    this.gap(lengthMs);
    return true;
  }

  private note(): void {
    this.lastMs = this.clock.monotonicMs();
    this.lastWallMs = this.clock.wallMs();
  }

  private wait(): void {
    this.timer = this.clock.after(GATE_TICK_MS, () => {
      this.look();
      this.note();
      this.wait();
      this.tick();
    });
  }
}
