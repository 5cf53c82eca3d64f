// Back-off: each wait is longer than the one before, from a minimum to a maximum, with jitter so that many clients do not return at once.
// The caller does the waiting: this class computes times, and has no timer and no randomness of its own.

export class Backoff {
  private readonly minMs: number;
  private readonly maxMs: number;
  private readonly random: () => number;
  private readonly growth: number;
  private failures = 0;
  private intervalMs = 0;

  /** `random`: uniform in [0, 1); a parameter, so that a seed can determine it. */
  constructor(minMs: number, maxMs: number, random: () => number, growth = 2) {
    this.minMs = minMs;
    this.maxMs = maxMs;
    this.random = random;
    this.growth = growth;
  }

  get retries(): number {
    return this.failures;
  }

  /** Time to wait before the next attempt, ms: between 3/4 and all of the interval, which grows by `growth` each time. */
  nextMs(growth = this.growth): number {
    this.intervalMs = this.failures === 0 ? this.minMs : Math.min(this.maxMs, this.intervalMs * growth);
    this.failures++;
    return this.intervalMs * (0.75 + 0.25 * this.random());
  }

  reset(): void {
    this.failures = 0;
  }
}
