// The one handshake that may begin a session, while further paths wait to join it (docs/PROTOCOL.md, the handshake): beginning two would
// end the first at the server. A holder that takes too long is overtaken by a path that was just answered, so that a connection fallen
// silent blocks nobody; each time the next holder is given twice as long, so that a slow server gets its time in the end.
// Invariant: at most one holder, and one that was overtaken has ended its connection before the next begins: the session that its proof
// may have begun never carries a request, so it can be replaced without harm.

import { PROOF_TIMEOUT_MS } from '../../auth/limits.ts';
import { FIRST_HANDSHAKE_PATIENCE_MS } from './limits.ts';

export interface FirstHandshakeEvents {
  /** Another path goes first: ends the connection at once. */
  overtaken(afterMs: number): void;
}

export class FirstHandshake {
  private holder: FirstHandshakeEvents | null = null;
  private sinceMs = 0;
  private patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;

  /** False: another path is being proven, come again. */
  take(holder: FirstHandshakeEvents, nowMs: number): boolean {
    const slow = this.holder;
    if (slow !== null) {
      const heldMs = nowMs - this.sinceMs;
      if (heldMs < this.patienceMs) return false;
      this.patienceMs = Math.min(this.patienceMs * 2, PROOF_TIMEOUT_MS);
      this.holder = null;
      slow.overtaken(heldMs);
    }
    this.holder = holder;
    this.sinceMs = nowMs;
    return true;
  }

  /** The holder's connection came to nothing. */
  failed(holder: FirstHandshakeEvents): void {
    if (this.holder === holder) this.holder = null;
  }

  /** A session has begun. */
  succeeded(): void {
    this.holder = null;
    this.patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;
  }
}
