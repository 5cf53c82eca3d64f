// Tracks how long the READs of a volume take, and after which time a READ is late. The mean and the deviation cover all paths. If the READs
// of a slow path were compared only with each other, none of them would count as late. Each volume has separate figures, because a limit, a
// pause or slow storage may slow down one volume only. Pure.

import { HEDGE_FACTOR, HEDGE_MIN_MS, READ_TIME_GAIN } from '../limits.ts';

const DEVIATIONS = 4;

export class ReadTimes {
  private meanMs = 0;
  private deviationMs = 0;

  /** Records the time from sending a READ to its first answer, in ms. */
  add(ms: number): void {
    const error = ms - this.meanMs;
    this.meanMs += error * READ_TIME_GAIN;
    this.deviationMs += (Math.abs(error) - this.deviationMs) * READ_TIME_GAIN;
  }

  /** Time in ms after which a READ in flight is late. */
  get lateMs(): number {
    return Math.max(HEDGE_MIN_MS, HEDGE_FACTOR * (this.meanMs + DEVIATIONS * this.deviationMs));
  }
}
