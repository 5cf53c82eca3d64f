// How long a trunk's READs take, and from when on one is late: mean and deviation over all paths, so that a slow path's own slowness does
// not make it seem right. Pure. Leaves what is done about a late one to the dispatcher.

import { HEDGE_FACTOR, HEDGE_MIN_MS, READ_TIME_GAIN } from './limits.ts';

const DEVIATIONS = 4;

export class ReadTimes {
  private meanMs = 0;
  private deviationMs = 0;

  /** A READ was answered for the first time, so long after it was sent there. */
  add(ms: number): void {
    const error = ms - this.meanMs;
    this.meanMs += error * READ_TIME_GAIN;
    this.deviationMs += (Math.abs(error) - this.deviationMs) * READ_TIME_GAIN;
  }

  /** One that is out for longer is late. */
  get lateMs(): number {
    return Math.max(HEDGE_MIN_MS, HEDGE_FACTOR * (this.meanMs + DEVIATIONS * this.deviationMs));
  }
}
