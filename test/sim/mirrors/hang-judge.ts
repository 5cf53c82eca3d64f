// Judges one user of a mirror: a long wait of an I/O is a breach if the client and the storage are working and the mirror does not report
// what the I/O waits for. Invariant: the judge observes and changes nothing.

export interface JudgedMirror {
  /** Submission time of the oldest I/O in flight; infinity: no I/O is in flight. */
  readonly oldestMs: number;
  /** Whether the client runs and every storage of the mirror works. */
  readonly isGood: boolean;
  /** Whether the mirror says what it waits for. */
  readonly isTold: boolean;
  /**
   * Time at which a storage of the mirror last failed. For a while after this time, an I/O may wait, because the mirror tries failed reads
   * again.
   */
  readonly failedMs: number;
}

export class HangJudge {
  private readonly maxMs: number;
  private readonly afterFailureMs: number;
  private silentSinceMs = Number.POSITIVE_INFINITY;

  constructor(maxMs: number, afterFailureMs: number) {
    this.maxMs = maxMs;
    this.afterFailureMs = afterFailureMs;
  }

  /**
   * Returns the time in ms for which the oldest I/O has waited without a named reason. The judge reports an I/O only once. Null: there is
   * no I/O to report.
   */
  hangsMs({ oldestMs, isGood, isTold, failedMs }: JudgedMirror, nowMs: number): number | null {
    if (!isGood || isTold || oldestMs === Number.POSITIVE_INFINITY) {
      this.silentSinceMs = Number.POSITIVE_INFINITY;
      return null;
    }
    if (this.silentSinceMs === Number.POSITIVE_INFINITY) this.silentSinceMs = nowMs;
    const waitedMs = nowMs - Math.max(oldestMs, this.silentSinceMs, failedMs + this.afterFailureMs);
    if (waitedMs <= this.maxMs) return null;
    this.silentSinceMs = Number.POSITIVE_INFINITY;
    return waitedMs;
  }
}
