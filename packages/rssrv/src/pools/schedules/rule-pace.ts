// Limits the snapshots of one rule by the time that was seen to pass, so that a clock that jumps cannot make a rule remove its history.
// Pure. Invariant: in any stretch of time, a rule makes at most three snapshots more than its period fits into it.

/** A clock that is slewed may run faster than the monotonic clock by this share of a period. */
const SLACK = 0.1;
/** One for a period that has begun, one for a period that begins soon, and one for a clock that was wrong and is corrected. */
const AT_ONCE = 3;

export class RulePace {
  /** Maps the label of a rule to what it had left, and when. */
  private readonly left = new Map<string, { readonly count: number; readonly atMs: number }>();

  mayMake(label: string, periodMs: number, nowMs: number): boolean {
    return this.leftNow(label, periodMs, nowMs) >= 1 - SLACK;
  }

  made(label: string, periodMs: number, nowMs: number): void {
    this.left.set(label, { count: this.leftNow(label, periodMs, nowMs) - 1, atMs: nowMs });
  }

  private leftNow(label: string, periodMs: number, nowMs: number): number {
    const { count, atMs } = this.left.get(label) ?? { count: AT_ONCE, atMs: nowMs };
    return Math.min(AT_ONCE, count + (nowMs - atMs) / periodMs);
  }
}
