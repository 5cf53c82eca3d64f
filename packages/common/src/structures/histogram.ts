// A histogram of latencies with logarithmic buckets. Each doubling of the latency is divided into 16 buckets, so that each bucket is 4.4 %
// wide. Adding a sample allocates no memory. Invariant: a reported quantile is at most one bucket too high and never exceeds the largest
// sample.

const PER_DOUBLING = 16;
const BUCKETS = PER_DOUBLING * 40;

export class Histogram {
  private readonly counts = new Uint32Array(BUCKETS);
  private total = 0;
  private maxUs = 0;

  add(us: number): void {
    const bucket = us <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(us) * PER_DOUBLING));
    this.counts[bucket]!++;
    this.total++;
    if (us > this.maxUs) this.maxUs = us;
  }

  /**
   * Returns the quantile `share` (0 to 1) in microseconds, rounded up to the upper edge of the quantile's bucket; 0 if there are no
   * samples.
   */
  quantileUs(share: number): number {
    let left = this.total * share;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.counts[bucket]!;
      if (left <= 0 && this.total > 0) return Math.min(this.maxUs, 2 ** ((bucket + 1) / PER_DOUBLING));
    }
    return this.maxUs;
  }

  view(): { p50Us: number; p99Us: number; maxUs: number } {
    return { p50Us: Math.round(this.quantileUs(0.5)), p99Us: Math.round(this.quantileUs(0.99)), maxUs: Math.round(this.maxUs) };
  }
}
