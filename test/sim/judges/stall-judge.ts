// Judges from outside what the stall policy of one volume permits: when I/O may fail, and by when it must have failed. What follows for
// failed I/O is the job of user and oracle. Times in simulated ms.

import type { StallPolicy } from '@rsio/common/config/schema/types';
import { STALL_FAIL_GRACE_MS } from '@rsio/rsiod/volumes/limits';
import type { StallEvent } from '@rsio/rsiod/volumes/path-stall';
import type { Volume } from '@rsio/rsiod/volumes/volume';

/** Between two checks, plus a timer's delay. */
const LATE_MAX_MS = 300;

export class StallJudge {
  private readonly policy: StallPolicy;
  /** Since when the volume's I/O was reported as waiting; null: it runs. */
  private waitsSinceMs: number | null = null;
  /** When a failure of I/O was found correct: all waiting I/O fails at the same time. */
  private failedMs = -1;
  /** Since when every check found it stalled. */
  private haltedSinceMs: number | null = null;

  constructor(policy: StallPolicy) {
    this.policy = policy;
  }

  forget(): void {
    this.waitsSinceMs = null;
    this.haltedSinceMs = null;
  }

  said(word: StallEvent, nowMs: number): void {
    if (word === 'waits') this.waitsSinceMs = nowMs;
    else if (word === 'goes-on') this.forget();
  }

  /** `oldestMs`: when the oldest of the I/Os that are still out was submitted. */
  mayGiveUp(volume: Volume | null, submittedMs: number, oldestMs: number, nowMs: number): boolean {
    const { policy, waitsSinceMs } = this;
    if (policy === 'forever' || waitsSinceMs === null || volume?.target.standing !== 'halted') return false;
    const waitedMs = policy === 'fail' ? nowMs - waitsSinceMs - STALL_FAIL_GRACE_MS : nowMs - Math.min(submittedMs, oldestMs) - policy;
    // A hair for sums of fractions.
    if (waitedMs >= -1e-6) this.failedMs = nowMs;
    return this.failedMs === nowMs;
  }

  /** A check while the client's process runs. Returns how long an I/O waits beyond its time, ms, or null. */
  overdueMs(volume: Volume | null, oldestMs: number, nowMs: number): number | null {
    if (this.policy === 'forever' || volume?.target.standing !== 'halted') {
      this.haltedSinceMs = null;
      return null;
    }
    this.haltedSinceMs ??= nowMs;
    const graceMs = this.policy === 'fail' ? STALL_FAIL_GRACE_MS : this.policy;
    const lateMs = nowMs - Math.max(oldestMs, this.haltedSinceMs) - graceMs;
    return lateMs > LATE_MAX_MS ? lateMs : null;
  }
}
