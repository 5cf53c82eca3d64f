// Logins of browsers. The browser has a random id in a cookie; the table has its hash, so that nobody who reads memory from outside finds an id
// by comparing times. Invariants: the logins of each token are bounded; no token ends those of another one; a login ends with its token.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@rsio/common/lib/clock';
import type { WebToken } from '../config/rswebcfg.ts';
import { SESSION_BYTES, SESSION_MAX_MS, SESSIONS_PER_TOKEN_MAX } from './limits.ts';

export interface Session {
  readonly token: WebToken;
  /** What each form of this login repeats, so that a page of another site cannot make one. */
  readonly csrf: string;
}

interface Kept extends Session {
  readonly beganMs: number;
  usedMs: number;
}

export class Sessions {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly kept = new Map<string, Kept>();
  private idleMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs'>, idleMs: number) {
    this.clock = clock;
    this.idleMs = idleMs;
  }

  /** Begins a login and returns its id for the cookie. */
  begin(token: WebToken): string {
    const id = randomBytes(SESSION_BYTES).toString('base64url');
    const nowMs = this.clock.monotonicMs();
    this.makeRoom(token);
    this.kept.set(keyOf(id), { token, csrf: randomBytes(SESSION_BYTES).toString('base64url'), beganMs: nowMs, usedMs: nowMs });
    return id;
  }

  /** The login with this id, which counts as used now; null if there is none. */
  use(id: string): Session | null {
    const key = keyOf(id);
    const kept = this.kept.get(key);
    const nowMs = this.clock.monotonicMs();
    if (kept === undefined) return null;
    if (nowMs - kept.usedMs > this.idleMs || nowMs - kept.beganMs > SESSION_MAX_MS) {
      this.kept.delete(key);
      return null;
    }
    kept.usedMs = nowMs;
    return kept;
  }

  end(id: string): void {
    this.kept.delete(keyOf(id));
  }

  /** A configuration comes into force: logins of tokens that are gone or mean something else end. */
  configure(tokens: readonly WebToken[], idleMs: number): void {
    this.idleMs = idleMs;
    for (const [key, { token }] of this.kept) {
      const same = tokens.some(({ name, sha256, rights }) => name === token.name && sha256 === token.sha256 && rights === token.rights);
      if (!same) this.kept.delete(key);
    }
  }

  private makeRoom({ name }: WebToken): void {
    const own = [...this.kept].filter(([, { token }]) => token.name === name);
    if (own.length < SESSIONS_PER_TOKEN_MAX) return;
    const [key] = own.reduce((idle, one) => (one[1].usedMs < idle[1].usedMs ? one : idle));
    this.kept.delete(key);
  }
}

/** Compares two texts in constant time. */
export function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other));
}

function keyOf(id: string): string {
  return digest(id).toString('hex');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
