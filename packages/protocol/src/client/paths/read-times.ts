// Tracks how long a trunk's READs take, and how long a READ may take before it is late. The mean and the deviation cover all paths, so that
// a slow path does not make its own slowness normal. Pure. Acting on late READs is the dispatcher's job.

import { HEDGE_FACTOR, HEDGE_MIN_MS, READ_TIME_GAIN } from './limits.ts';

const DEVIATIONS = 4;

export class ReadTimes {
  private meanMs = 0;
  private deviationMs = 0;

  /** Adds the time from sending a READ to its first answer, in ms. */
  add(ms: number): void {
    const error = ms - this.meanMs;
    this.meanMs += error * READ_TIME_GAIN;
    this.deviationMs += (Math.abs(error) - this.deviationMs) * READ_TIME_GAIN;
  }

  /** A READ in flight for longer than this many ms is late. */
  get lateMs(): number {
    return Math.max(HEDGE_MIN_MS, HEDGE_FACTOR * (this.meanMs + DEVIATIONS * this.deviationMs));
  }
}
