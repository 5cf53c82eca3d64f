// A token bucket for amounts of any size, such as the bytes of requests, at a rate that may change at any time. Tokens come from time alone,
// at `perSecond`, and at most `most` are kept. An amount may be taken while there is any token, so that a request that is larger than the
// bucket is possible; the bucket then owes the rest. Invariant: what is taken in any time is at most what the rate gives in that time, plus
// `most`, plus one amount. Callers pass the current time, which must never go backwards.

const MS_PER_SECOND = 1_000;

export class RateBucket {
  private perMs = 0;
  private most = 0;
  private tokens = 0;
  private atMs: number;

  /** The bucket starts empty, so that a new one gives nothing away. */
  constructor(nowMs: number) {
    this.atMs = nowMs;
  }

  /** Changes the rate. Tokens that the new bucket cannot keep are lost; what is owed stays. `burstMs`: the time whose tokens are kept. */
  set(perSecond: number, burstMs: number, nowMs: number): void {
    this.refill(nowMs);
    this.perMs = perSecond / MS_PER_SECOND;
    this.most = this.perMs * burstMs;
    if (this.tokens > this.most) this.tokens = this.most;
  }

  hasAny(nowMs: number): boolean {
    this.refill(nowMs);
    return this.tokens > 0;
  }

  take(amount: number): void {
    this.tokens -= amount;
  }

  /** Time in ms until there is a token; Infinity while the rate is 0. */
  waitMs(nowMs: number): number {
    this.refill(nowMs);
    return this.tokens > 0 ? 0 : this.perMs === 0 ? Number.POSITIVE_INFINITY : -this.tokens / this.perMs;
  }

  private refill(nowMs: number): void {
    const tokens = this.tokens + (nowMs - this.atMs) * this.perMs;
    this.tokens = tokens < this.most ? tokens : this.most;
    this.atMs = nowMs;
  }
}
