// Judges one user of a mirror: an I/O that waits for long while client and storage work is a breach, unless the mirror says what it waits
// for. Invariant: it observes and changes nothing.

export interface JudgedMirror {
  /** Submission time of the oldest I/O in flight; infinity: none. */
  readonly oldestMs: number;
  /** Whether the client runs and every storage of the mirror works. */
  readonly isGood: boolean;
  /** Whether the mirror says what it waits for. */
  readonly isTold: boolean;
  /** Time at which a storage of the mirror last failed, because failed reads are tried again later. */
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

  /** Time in ms for which an I/O waits without a named reason; null: no such I/O waits too long. Reported once. */
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
