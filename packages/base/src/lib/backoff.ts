// Computes back-off times: the waiting time grows with each attempt, from a minimum to a maximum. Jitter prevents many clients from
// retrying at the same moment. This class only computes times; the caller waits.

export class Backoff {
  private readonly minMs: number;
  private readonly maxMs: number;
  private readonly random: () => number;
  private readonly growth: number;
  private failures = 0;
  private intervalMs = 0;

  /** `random` returns uniformly distributed numbers in [0, 1). A test can pass a seeded generator. */
  constructor(minMs: number, maxMs: number, random: () => number, growth = 2) {
    this.minMs = minMs;
    this.maxMs = maxMs;
    this.random = random;
    this.growth = growth;
  }

  get retries(): number {
    return this.failures;
  }

  /**
   * Returns the waiting time in ms before the next attempt: 75 to 100 % of the interval. The interval starts at minMs; each later call
   * multiplies the interval by `growth`, up to maxMs.
   */
  nextMs(growth = this.growth): number {
    this.intervalMs = this.failures === 0 ? this.minMs : Math.min(this.maxMs, this.intervalMs * growth);
    this.failures++;
    return this.intervalMs * (0.75 + 0.25 * this.random());
  }

  reset(): void {
    this.failures = 0;
  }
}
