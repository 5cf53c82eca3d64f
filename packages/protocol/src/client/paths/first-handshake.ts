// Lets only one path at a time perform the handshake that begins a session. The other paths wait until they can join that session
// (docs/PROTOCOL.md, the handshake). If two paths could each begin a session, the second session would end the first session at the server.
// If the handshake is slow, a path that has just received CHALLENGE takes over, so that a silent connection does not block the other paths.
// Each take-over doubles the time that the next path may take, so that a slow server gets enough time. Invariant: an overtaken path closes
// its connection before the next handshake begins. If the server is still beginning a session for the overtaken path, it gives that session
// to the next path. If the session has begun, it carries no request yet and can be replaced safely.

import { PROOF_TIMEOUT_MS } from '../../auth/limits.ts';
import { FIRST_HANDSHAKE_PATIENCE_MS } from '../limits.ts';

export interface FirstHandshakeEvents {
  /** Called on the slow path when another path takes over the first handshake. The slow path must close its connection at once. */
  overtaken(afterMs: number): void;
}

export class FirstHandshake {
  private holder: FirstHandshakeEvents | null = null;
  private sinceMs = 0;
  private patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;

  /** Lets `holder` perform the first handshake. Returns false if another path is still performing the handshake. */
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

  failed(holder: FirstHandshakeEvents): void {
    if (this.holder === holder) this.holder = null;
  }

  succeeded(): void {
    this.holder = null;
    this.patienceMs = FIRST_HANDSHAKE_PATIENCE_MS;
  }
}
