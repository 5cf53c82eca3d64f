// A token bucket for amounts of any size, such as the bytes of requests, at a rate that may change at any time. The bucket gains
// `perSecond` tokens per second and keeps at most `most`. A caller may take any amount while there is at least one token. If the amount
// exceeds the tokens in the bucket, the bucket owes the difference. Invariant: the amount taken in any period is at most the rate times the
// period, plus `most`, plus one amount. Callers pass the current time, which must never go backwards.

const MS_PER_SECOND = 1_000;

export class RateBucket {
  private perMs = 0;
  private most = 0;
  private tokens = 0;
  private atMs: number;

  /** The bucket starts empty, so that a new bucket permits no burst. */
  constructor(nowMs: number) {
    this.atMs = nowMs;
  }

  /**
   * Changes the rate. Tokens beyond the new maximum are lost; a debt stays. `burstMs`: the bucket keeps at most the tokens that it gains in
   * this time.
   */
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

  /** Time in ms until the bucket has a token; Infinity while the rate is 0. */
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
