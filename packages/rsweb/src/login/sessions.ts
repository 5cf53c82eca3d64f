// Logins of browsers. The browser has a random id in a cookie. The table contains only hashes of ids, so that the duration of a lookup does
// not reveal an id. Invariants: the logins of each token are bounded; a token never ends the logins of another token; a login ends when its
// token is removed.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@rsio/base/lib/clock';
import type { WebToken } from '../config/rswebcfg.ts';
import { SESSION_BYTES, SESSION_MAX_MS, SESSIONS_PER_TOKEN_MAX } from '../limits.ts';

export interface Session {
  readonly token: WebToken;
  /** A secret value in each form on the pages of this login. A page of another site cannot know the value. */
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

  /** Starts a login and returns its id for the cookie. */
  begin(token: WebToken): string {
    const id = randomBytes(SESSION_BYTES).toString('base64url');
    const nowMs = this.clock.monotonicMs();
    this.makeRoom(token);
    this.kept.set(keyOf(id), { token, csrf: randomBytes(SESSION_BYTES).toString('base64url'), beganMs: nowMs, usedMs: nowMs });
    return id;
  }

  /** Returns the login with this id and marks the login as used now. Returns null if there is no login with this id. */
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

  /** Applies a configuration. Ends the logins of tokens that were removed or changed. */
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
