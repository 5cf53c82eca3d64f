// Judges the stall policy of one volume from outside: when I/O may fail, and when it must have failed. User and oracle handle failed I/O.
// Times in simulated ms.

import type { StallPolicy } from '@rsio/common/config/schema/types';
import { STALL_FAIL_GRACE_MS } from '@rsio/rsiod/volumes/limits';
import type { StallEvent } from '@rsio/rsiod/volumes/path-stall';
import type { Volume } from '@rsio/rsiod/volumes/volume';

/** Time between two checks plus the delay of a timer. */
const LATE_MAX_MS = 300;

export class StallJudge {
  private readonly policy: StallPolicy;
  /** Time since which the volume's I/O is reported as waiting; null: it does not wait. */
  private waitsSinceMs: number | null = null;
  /** Time at which a failure was found correct; all waiting I/O fails at the same time. */
  private failedMs = -1;
  /** Time since which every check has found the volume stalled. */
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

  /** `oldestMs`: submission time of the oldest unanswered I/O. */
  mayGiveUp(volume: Volume | null, submittedMs: number, oldestMs: number, nowMs: number): boolean {
    const { policy, waitsSinceMs } = this;
    if (policy === 'forever' || waitsSinceMs === null || volume?.target.standing !== 'halted') return false;
    const waitedMs = policy === 'fail' ? nowMs - waitsSinceMs - STALL_FAIL_GRACE_MS : nowMs - Math.min(submittedMs, oldestMs) - policy;
    // Allows for rounding in sums of fractions.
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
