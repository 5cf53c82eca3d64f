// Judges one user of a mirror: an I/O that waits for long while client and storage are in order is a breach, unless the mirror says what
// it waits for. Invariant: it observes and changes nothing.

export interface JudgedMirror {
  /** When the oldest I/O that is out was submitted; infinity: none is. */
  readonly oldestMs: number;
  /** The client runs, and every storage of the mirror is in order. */
  readonly isGood: boolean;
  /** The mirror names something that it waits for. */
  readonly isTold: boolean;
  /** When a storage of the mirror last failed: what it could not read is tried again later. */
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

  /** For how long an I/O waits and nobody says why, ms; null: none waits so for too long. Reported once. */
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
