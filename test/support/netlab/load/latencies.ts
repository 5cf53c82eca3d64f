// Counts request durations in steps of about 3 %. A million requests therefore need no more memory than one, and quantiles are cheap. The
// caller keeps the time of the slowest request itself, because this figure must be exact.

const STEPS_PER_DOUBLING = 32;
/** The steps cover this many doublings of the time, from a microsecond to some minutes. */
const DOUBLINGS = 28;

export class Latencies {
  private readonly counts = new Uint32Array(STEPS_PER_DOUBLING * DOUBLINGS);
  private total = 0;

  add(ms: number): void {
    const step = Math.floor(Math.log2(Math.max(1, ms * 1000)) * STEPS_PER_DOUBLING);
    this.counts[Math.min(step, this.counts.length - 1)]!++;
    this.total++;
  }

  /** Upper end, in ms, of the step that reaches the share `share` of all requests; 0 without requests. */
  quantile(share: number): number {
    let left = share * this.total;
    if (left === 0) return 0;
    for (let step = 0; step < this.counts.length; step++) {
      left -= this.counts[step]!;
      if (left <= 0) return 2 ** ((step + 1) / STEPS_PER_DOUBLING) / 1000;
    }
    return Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.counts.fill(0);
    this.total = 0;
  }
}
