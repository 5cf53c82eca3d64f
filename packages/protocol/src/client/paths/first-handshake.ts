// Grants the one handshake that may begin a session while further paths wait to join it (docs/PROTOCOL.md, the handshake). A second session
// would end the first at the server. A slow holder of the grant loses it to a path that has just received an answer, so that a silent
// connection blocks no path. Each holder may take twice as long as the one before, so that a slow server gets enough time. Invariant: at
// most one path holds the grant, and an overtaken holder closes its connection before the next handshake begins. If the PROOF of that
// holder has begun a session, the session carries no request and can be replaced safely.

import { PROOF_TIMEOUT_MS } from '../../auth/limits.ts';
import { FIRST_HANDSHAKE_PATIENCE_MS } from './limits.ts';

export interface FirstHandshakeEvents {
  /** Another path goes first. The holder closes its connection at once. */
  overtaken(afterMs: number): void;
}

export class FirstHandshake {
  private holder: FirstHandshakeEvents | null = null;
  private sinceMs = 0;
  private patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;

  /** Returns false if another path is authenticating. The caller then tries again later. */
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

  /** The holder's connection failed. */
  failed(holder: FirstHandshakeEvents): void {
    if (this.holder === holder) this.holder = null;
  }

  /** A session has begun. */
  succeeded(): void {
    this.holder = null;
    this.patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;
  }
}
