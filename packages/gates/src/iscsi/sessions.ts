// The sessions of one target. A host that logs in again with the same ISID ends its earlier session (RFC 7143, 6.3.5). Invariants: the new
// session begins when the earlier one has finished, so that no late write of the earlier session is executed after newer writes; no two
// sessions that exist at the same time have the same number.

import { GATE_HOST_LOGINS_MAX, GATE_QUIESCE_MS, GATE_SESSIONS_MAX } from '../limits.ts';
import type { LoginNames } from './login/login.ts';
import type { EnteringSession } from './target-view.ts';

interface Entry {
  readonly session: EnteringSession;
  readonly names: LoginNames;
  readonly tsih: number;
}

const TSIH_MAX = 65_535;

export class Sessions {
  private readonly entries = new Map<string, Entry>();
  /** Sessions that wait for the end of the session with the same key. */
  private readonly waiting = new Map<string, { readonly session: EnteringSession; readonly names: LoginNames; readonly sinceMs: number }>();
  private lastTsih = 0;

  get size(): number {
    return this.entries.size;
  }

  /** True if the host may log in: as a new session, or in the place of its earlier one. */
  mayEnter(names: LoginNames): boolean {
    return this.hasRoom(names) || this.entries.has(keyOf(names));
  }

  private hasRoom({ initiatorName }: LoginNames): boolean {
    let own = 0;
    for (const { names } of this.entries.values()) if (names.initiatorName === initiatorName) own++;
    return this.entries.size < GATE_SESSIONS_MAX && own < GATE_HOST_LOGINS_MAX;
  }

  /** All sessions, including those whose connection is closed but whose I/O has not ended. */
  all(): { readonly session: EnteringSession; readonly names: LoginNames }[] {
    return [...this.entries.values()];
  }

  enter(session: EnteringSession, names: LoginNames, nowMs: number): void {
    const key = keyOf(names);
    const earlier = this.entries.get(key);
    if (earlier === undefined) return this.begin(key, session, names);
    this.waiting.get(key)?.session.close('its host has logged in again');
    this.waiting.set(key, { session, names, sinceMs: nowMs });
    earlier.session.close('its host has logged in again');
  }

  /** A connection has finished. */
  left(session: EnteringSession): void {
    for (const [key, one] of this.waiting) if (one.session === session) this.waiting.delete(key);
    for (const [key, one] of this.entries) {
      if (one.session !== session) continue;
      this.entries.delete(key);
      const next = this.waiting.get(key);
      this.waiting.delete(key);
      if (next !== undefined) this.begin(key, next.session, next.names);
    }
  }

  /** Closes, without an answer, each new session that has waited too long for the I/O of its earlier session. */
  tick(nowMs: number): void {
    for (const { session, sinceMs } of [...this.waiting.values()])
      if (nowMs - sinceMs > GATE_QUIESCE_MS) session.close(`the I/O of its earlier session has not ended in ${GATE_QUIESCE_MS / 1000} s`);
  }

  private begin(key: string, session: EnteringSession, names: LoginNames): void {
    if (!this.hasRoom(names)) return session.turnedAway();
    const used = new Set([...this.entries.values()].map(({ tsih }) => tsih));
    do this.lastTsih = (this.lastTsih % TSIH_MAX) + 1;
    while (used.has(this.lastTsih));
    this.entries.set(key, { session, names, tsih: this.lastTsih });
    session.entered(this.lastTsih);
  }
}

/** Discovery sessions count as sessions of another target. */
function keyOf({ initiatorName, isid, targetName }: LoginNames): string {
  return `${initiatorName} ${isid} ${targetName === null ? 'discovery' : ''}`;
}
