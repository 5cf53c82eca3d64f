// A token bucket: so many tokens at once, and after that one in each interval. It holds a single time, that at which it is full again.
// Pure over the times it is given, which never go back. What a token stands for, and what happens without one, is the caller's decision.

export interface BucketSize {
  /** Tokens of a full bucket. */
  readonly atOnce: number;
  /** Time in which one token comes back, ms. */
  readonly eachMs: number;
}

export class TokenBucket {
  /** The bucket is full from then on; it was taken from beyond its tokens when that is further away than all of them take. */
  fullAtMs: number;
  private readonly size: BucketSize;

  /** Full, unless `fullAtMs` is later. */
  constructor(size: BucketSize, fullAtMs = Number.NEGATIVE_INFINITY) {
    this.size = size;
    this.fullAtMs = fullAtMs;
  }

  /** Tokens in the bucket, with fractions; negative when it owes some. */
  tokens(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return atOnce - Math.max(0, this.fullAtMs - nowMs) / eachMs;
  }

  /** Share of the tokens that is left; 0 when there is less than one. */
  level(nowMs: number): number {
    const tokens = this.tokens(nowMs);
    return tokens < 1 ? 0 : tokens / this.size.atOnce;
  }

  /** Time until there is a token, ms; 0: there is one. */
  waitMs(nowMs: number): number {
    const { atOnce, eachMs } = this.size;
    return Math.max(0, this.fullAtMs - (atOnce - 1) * eachMs - nowMs);
  }

  /** Takes a token, also one that is not there. */
  take(nowMs: number): void {
    this.fullAtMs = Math.max(nowMs, this.fullAtMs) + this.size.eachMs;
  }
}
