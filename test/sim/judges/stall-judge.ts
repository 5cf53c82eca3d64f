// Judges the stall policy of one volume: the time after which a waiting I/O may fail, and the time by which the I/O must have failed. The
// simulated user and the oracle handle failed I/O. All times are in simulated ms.

import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { STALL_FAIL_GRACE_MS } from '@rsio/rsiod/volumes/limits';
import type { StallEvent } from '@rsio/rsiod/volumes/path-stall';
import type { Volume } from '@rsio/rsiod/volumes/volume';

/**
 * A check may find an I/O that has waited for this much longer than its policy allows. The tolerance is the time between two checks plus
 * the delay of a timer.
 */
const LATE_MAX_MS = 300;

export class StallJudge {
  private readonly policy: StallPolicy;
  /** Time since which the volume reports that its I/O waits; null: the volume does not report this. */
  private waitsSinceMs: number | null = null;
  /**
   * Time at which an I/O failed correctly. Other I/O of the volume that fails at the same time is also correct, because all waiting I/O
   * fails together.
   */
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
    // The tolerance of 1e-6 ms is for rounding errors, because sums of fractional times are not exact.
    if (waitedMs >= -1e-6) this.failedMs = nowMs;
    return this.failedMs === nowMs;
  }

  /**
   * Called at each check while the client's process runs. Returns for how many ms an I/O has waited beyond its time limit. Null: no I/O
   * has.
   */
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
