// Waiting longer after each failure: doubling from a minimum to a maximum, with jitter so that many clients do not come back at once.
// Leaves the waiting to the caller: it says how long, and has no timer and no randomness of its own.

export class Backoff {
  private readonly minMs: number;
  private readonly maxMs: number;
  private readonly random: () => number;
  private failures = 0;

  /** `random`: uniform in [0, 1), a port so that a seed decides. */
  constructor(minMs: number, maxMs: number, random: () => number) {
    this.minMs = minMs;
    this.maxMs = maxMs;
    this.random = random;
  }

  get retries(): number {
    return this.failures;
  }

  /** Time to wait before the next try: between 3/4 and all of the doubled interval. */
  nextMs(): number {
    const fullMs = Math.min(this.maxMs, this.minMs * 2 ** Math.min(this.failures, 20));
    this.failures++;
    return fullMs * (0.75 + 0.25 * this.random());
  }

  reset(): void {
    this.failures = 0;
  }
}
