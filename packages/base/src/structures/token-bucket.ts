// Implements a token bucket. A full bucket has `atOnce` tokens. Until the bucket is full, one token is added in each interval of `eachMs`
// milliseconds. The only state is the time at which the bucket will be full again. Callers pass the current time, which must never go
// backwards.

export interface BucketSize {
  readonly atOnce: number;
  readonly eachMs: number;
}

export class TokenBucket {
  /** Time at which the bucket will be full. If this time is more than `atOnce * eachMs` in the future, the number of tokens is negative. */
  fullAtMs: number;
  private readonly size: BucketSize;

  /** The bucket starts full, unless `fullAtMs` is in the future. */
  constructor(size: BucketSize, fullAtMs = Number.NEGATIVE_INFINITY) {
    this.size = size;
    this.fullAtMs = fullAtMs;
  }

  /** The number of tokens may be fractional. The number is negative if more tokens have been taken than the bucket had. */
  tokens(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return atOnce - Math.max(0, this.fullAtMs - nowMs) / eachMs;
  }

  /** Number of tokens as a fraction of a full bucket; 0 if there is less than one token. */
  level(nowMs: number): number {
    const tokens = this.tokens(nowMs);
    return tokens < 1 ? 0 : tokens / this.size.atOnce;
  }

  /** Time in ms until a token is available. */
  waitMs(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return Math.max(0, this.fullAtMs - (atOnce - 1) * eachMs - nowMs);
  }

  /** Takes a token, even if the bucket has no token; the number of tokens then becomes negative. */
  take(nowMs: number): void {
    this.fullAtMs = Math.max(nowMs, this.fullAtMs) + this.size.eachMs;
  }
}
