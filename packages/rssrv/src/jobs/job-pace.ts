// Paces a job to its bandwidth limit, which may change while the job runs, and measures its speed. Invariant: on average over several
// seconds, a job is not faster than its limit.

import { sleep } from '@rsio/common/lib/waiting';
import type { Clock } from '@rsio/common/lib/clock';
import { PACE_WAIT_MAX_MS, SPEED_OVER_MS } from './limits.ts';

export class JobPace {
  private readonly clock: Clock;
  /** Time at which the next bytes may be copied. */
  private freeMs = Number.NEGATIVE_INFINITY;
  private sampleMs: number;
  private sampleBytes = 0;
  private lastPerSecond = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sampleMs = clock.monotonicMs();
  }

  get bytesPerSecond(): number {
    return this.lastPerSecond;
  }

  /**
   * Resolves with true when the next bytes may be copied. After false, the caller must call this method again. `limitBytes` is the limit in
   * bytes per second; null if there is no limit.
   */
  async wait(limitBytes: number | null): Promise<boolean> {
    const nowMs = this.clock.monotonicMs();
    const waitMs = limitBytes === null ? 0 : Math.min(PACE_WAIT_MAX_MS, this.freeMs - nowMs);
    if (waitMs <= 0) return true;
    await sleep(this.clock, waitMs);
    return false;
  }

  /** Counts bytes that are about to be copied. */
  take(bytes: number, limitBytes: number | null): void {
    const nowMs = this.clock.monotonicMs();
    this.freeMs = limitBytes === null ? nowMs : Math.max(nowMs, this.freeMs) + (bytes / limitBytes) * 1_000;
    this.sampleBytes += bytes;
    const sinceMs = nowMs - this.sampleMs;
    if (sinceMs < SPEED_OVER_MS) return;
    this.lastPerSecond = Math.round((this.sampleBytes / sinceMs) * 1_000);
    [this.sampleMs, this.sampleBytes] = [nowMs, 0];
  }
}
