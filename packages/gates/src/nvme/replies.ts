// The moments of the answers of one queue, by the command identifiers of the host. If an identifier arrives again on the same queue, its host
// has received the answer that it got before, so that it held the path when this answer was sent (rule D1). The number of a later command
// proves nothing, because some hosts do not wait for answers. Invariant: there are at most GATE_REPLIES_MAX moments, those of the latest
// answers. Rules: D1.

import { GATE_REPLIES_MAX } from '../limits.ts';
import type { Moment } from '../order/gate-path.ts';

export class Replies {
  private readonly moments = new Map<number, Moment>();

  answered(cid: number, moment: Moment): void {
    this.moments.delete(cid);
    this.moments.set(cid, moment);
    const [oldest] = this.moments.keys();
    if (this.moments.size > GATE_REPLIES_MAX && oldest !== undefined) this.moments.delete(oldest);
  }

  /** A command with this identifier has arrived. Returns the moment of the answer that its host must have received; null: not known. */
  arrived(cid: number): Moment | null {
    if (this.moments.size === 0) return null;
    const moment = this.moments.get(cid) ?? null;
    this.moments.delete(cid);
    return moment;
  }
}
