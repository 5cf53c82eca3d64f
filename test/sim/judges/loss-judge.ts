// Judges how soon a server notices that a volume's storage has lost data (docs/PROTOCOL.md, V1), and how long a handle outlives the
// incarnation in which it was granted. Until the loss is noticed, the oracle judges the reads. Invariants: the judge observes and changes
// nothing. The judge counts only time in which no fault hinders the server.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { LATE_MAX_MS, type Opening } from '../storage/sim-storage.ts';

/**
 * A server notices a failed write-back within this time. A late sync may be in progress at the failure, and the next sync, which notices
 * the failure, may also be late.
 */
export const NOTICE_MAX_MS = SELF_SYNC_MS + HEARTBEAT_INTERVAL_MS + 2 * LATE_MAX_MS + 500;
/** The server revokes handles of an ended incarnation within this time, if the requests on these handles end in time. */
export const REVOKE_MAX_MS = 2 * LATE_MAX_MS + 1000;

export class LossJudge {
  /** Processes that had the storage open when it lost data. Empty once a process has noticed the loss. */
  private witnesses: readonly Opening[] = [];
  private unnoticedMs = 0;
  /** Processes that opened the storage in an incarnation that has since ended because of a loss, and still have it open. */
  private outliving: readonly Opening[] = [];
  private outlivedMs = 0;

  forgot(openings: Iterable<Opening>): void {
    if (this.witnesses.length === 0) this.unnoticedMs = 0;
    this.witnesses = [...new Set([...this.witnesses, ...openings])];
  }

  /** A new incarnation of the storage has started, for any reason. */
  noticed(): void {
    this.witnesses = [];
  }

  /** The new incarnation started because a sync failed. */
  lost(openings: Iterable<Opening>): void {
    if (this.outliving.length === 0) this.outlivedMs = 0;
    this.outliving = [...openings];
  }

  /** Checks the server. `stepMs`: time since the last check in which no fault hindered the server. */
  look(stepMs: number, openings: ReadonlySet<Opening>): string | null {
    this.witnesses = this.witnesses.filter((one) => openings.has(one));
    this.outliving = this.outliving.filter((one) => openings.has(one));
    this.unnoticedMs = this.witnesses.length > 0 ? this.unnoticedMs + stepMs : 0;
    this.outlivedMs = this.outliving.length > 0 ? this.outlivedMs + stepMs : 0;
    if (this.unnoticedMs > NOTICE_MAX_MS)
      return `the storage has forgotten sectors, which nobody notices for ${Math.round(this.unnoticedMs)} ms`;
    if (this.outlivedMs > REVOKE_MAX_MS) return `a handle outlives the incarnation of its storage by ${Math.round(this.outlivedMs)} ms`;
    return null;
  }
}
