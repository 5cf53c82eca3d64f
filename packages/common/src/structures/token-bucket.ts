// A token bucket. A full bucket has `atOnce` tokens, and one token returns in each interval. The only state is the time at which the bucket
// will be full again. The class reads no clock; callers pass times, which must never go backwards. The caller decides what a token permits
// and what happens when no token is left.

export interface BucketSize {
  /** Number of tokens in a full bucket. */
  readonly atOnce: number;
  /** Time in ms in which one token returns. */
  readonly eachMs: number;
}

export class TokenBucket {
  /** Time at which the bucket will be full. If it is more than `atOnce * eachMs` away, more tokens have been taken than the bucket had. */
  fullAtMs: number;
  private readonly size: BucketSize;

  /** The bucket starts full, unless `fullAtMs` is in the future. */
  constructor(size: BucketSize, fullAtMs = Number.NEGATIVE_INFINITY) {
    this.size = size;
    this.fullAtMs = fullAtMs;
  }

  /** Number of tokens in the bucket, possibly fractional; negative if more tokens have been taken than the bucket had. */
  tokens(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return atOnce - Math.max(0, this.fullAtMs - nowMs) / eachMs;
  }

  /** Tokens left, as a fraction of a full bucket; 0 if less than one token is left. */
  level(nowMs: number): number {
    const tokens = this.tokens(nowMs);
    return tokens < 1 ? 0 : tokens / this.size.atOnce;
  }

  /** Time in ms until a token is available; 0 if a token is available now. */
  waitMs(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return Math.max(0, this.fullAtMs - (atOnce - 1) * eachMs - nowMs);
  }

  /** Takes a token, even if none is available. */
  take(nowMs: number): void {
    this.fullAtMs = Math.max(nowMs, this.fullAtMs) + this.size.eachMs;
  }
}
