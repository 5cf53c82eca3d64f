// A histogram of latencies with logarithmic buckets. Each doubling of the latency is divided into 16 buckets, and each bucket is therefore
// 4.4 % wide. Adding a sample allocates no memory. Invariant: a reported quantile is at most one bucket too high and never exceeds the
// largest sample.

import { LATENCY_BUCKETS, LATENCY_FIRST_EDGE_US } from './latency-figures.ts';
import type { LatencyFigures } from './latency-figures.ts';

const PER_DOUBLING = 16;
const BUCKETS = PER_DOUBLING * 40;
/** Number of fine buckets below the first edge of the coarse buckets. */
const BELOW_FIRST = PER_DOUBLING * Math.log2(LATENCY_FIRST_EDGE_US);
/** The quantiles of `figures`, ascending. */
const SHARES = [0.5, 0.9, 0.99, 0.999, 0.9999] as const;

export class Histogram {
  /**
   * Number of samples in each fine bucket. The counts are doubles, because 32-bit integers would overflow after some hours of I/O on a fast
   * volume.
   */
  private readonly counts = new Float64Array(BUCKETS);
  private total = 0;
  private sumUs = 0;
  private maxUs = 0;

  add(us: number): void {
    const bucket = us <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(us) * PER_DOUBLING));
    this.counts[bucket]!++;
    this.total++;
    this.sumUs += us;
    if (us > this.maxUs) this.maxUs = us;
  }

  /** Returns quantiles, rounded up to the upper edge of their bucket, and the coarse buckets, in one pass over the fine buckets. */
  figures(): LatencyFigures {
    const { counts, total } = this;
    const quantilesUs = [0, 0, 0, 0, 0];
    const buckets = new Array<number>(LATENCY_BUCKETS).fill(0);
    let seen = 0;
    let next = 0;
    for (let bucket = 0; bucket < BUCKETS && seen < total; bucket++) {
      const count = counts[bucket]!;
      if (count === 0) continue;
      seen += count;
      buckets[coarseOf(bucket)]! += count;
      for (; next < SHARES.length && seen >= total * SHARES[next]!; next++)
        quantilesUs[next] = Math.round(Math.min(this.maxUs, 2 ** ((bucket + 1) / PER_DOUBLING)));
    }
    const [p50Us = 0, p90Us = 0, p99Us = 0, p999Us = 0, p9999Us = 0] = quantilesUs;
    return { p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs: Math.round(this.maxUs), sumUs: Math.round(this.sumUs), buckets };
  }
}

function coarseOf(bucket: number): number {
  if (bucket < BELOW_FIRST) return 0;
  return Math.min(LATENCY_BUCKETS - 1, Math.floor((bucket - BELOW_FIRST) / PER_DOUBLING) + 1);
}
