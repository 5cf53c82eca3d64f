// Keeps which share of the limits of one volume each session has, and changes the shares by what the sessions use. Each session is told its
// share and confirms it. Pure: what has to be told is returned. Invariant: the shares in force in all sessions add up to 1 at most at every
// moment, because a share grows only by what others have confirmed to have given up. A session that does not confirm within
// SHARE_CONFIRM_MS is not running: it counts as if it had, and when it runs again, it may use at most what its old share had left.

import { fairShares } from './fair-shares.ts';
import { SHARE_CONFIRM_MS, SHARE_STEP } from './limits.ts';

/** Shares of the limit of requests and of the limit of bytes, from 0 to 1. */
export interface Share {
  readonly requests: number;
  readonly bytes: number;
}

/** A session has to be told its share. */
export interface ShareOrder extends Share {
  readonly session: string;
  readonly number: number;
  /** True if other sessions have a share, too. */
  readonly isDivided: boolean;
}

interface User {
  told: Share;
  confirmed: Share;
  wasDivided: boolean;
  number: number;
  /** When it was told a share that it has not confirmed; null: it has confirmed. */
  awaitedSinceMs: number | null;
  use: Share;
}

const KINDS = ['requests', 'bytes'] as const;
const NONE: Share = { requests: 0, bytes: 0 };

export class ShareBook {
  private readonly users = new Map<string, User>();
  /** Numbers all orders of the server, growing. */
  private readonly nextNumber: () => number;

  constructor(nextNumber: () => number) {
    this.nextNumber = nextNumber;
  }

  get size(): number {
    return this.users.size;
  }

  get sessions(): string[] {
    return [...this.users.keys()];
  }

  /** True while a session has not confirmed its share. */
  get isAwaiting(): boolean {
    return [...this.users.values()].some(({ awaitedSinceMs }) => awaitedSinceMs !== null);
  }

  /** Adds a session, and returns what all sessions have to be told; the new one is always among them. */
  add(session: string, nowMs: number): ShareOrder[] {
    const known = this.users.get(session);
    if (known !== undefined) return [this.again(session, known, nowMs), ...this.plan(nowMs)];
    const use = { requests: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
    const user: User = { told: NONE, confirmed: NONE, wasDivided: false, number: -1, awaitedSinceMs: null, use };
    this.users.set(session, user);
    const orders = this.plan(nowMs);
    return orders.some((order) => order.session === session) ? orders : [this.again(session, user, nowMs), ...orders];
  }

  /** `number`: the last setting that the session had when it ceased to use the volume; a later one means that it uses it again. */
  remove(session: string, number: number, nowMs: number): ShareOrder[] {
    const user = this.users.get(session);
    if (user === undefined || user.number > number) return [];
    this.users.delete(session);
    return this.plan(nowMs);
  }

  /** A session has confirmed its share, so that others may have what it has given up: `plan` tells. */
  confirmed(session: string, number: number): void {
    const user = this.users.get(session);
    if (user === undefined || user.number !== number) return;
    user.awaitedSinceMs = null;
    user.confirmed = user.told;
  }

  /** `use`: the parts of the limits that the session uses; Infinity if it could use more than it has. The next `plan` takes it into account. */
  used(session: string, use: Share): void {
    const user = this.users.get(session);
    if (user !== undefined) user.use = use;
  }

  /** Counts sessions that do not run as having confirmed, and as using nothing. */
  expire(nowMs: number): ShareOrder[] {
    for (const user of this.users.values()) {
      if (user.awaitedSinceMs === null || nowMs - user.awaitedSinceMs < SHARE_CONFIRM_MS) continue;
      user.awaitedSinceMs = null;
      user.confirmed = user.told;
      user.use = NONE;
    }
    return this.plan(nowMs);
  }

  /** Returns the shares as they were told, for a change of the limit or of a halt. */
  tellAgain(nowMs: number): ShareOrder[] {
    return [...this.users].map(([session, user]) => this.again(session, user, nowMs));
  }

  /** Returns the sessions that have to be told another share. */
  plan(nowMs: number): ShareOrder[] {
    const users = [...this.users];
    const wanted = KINDS.map((kind) => fairShares(users.map(([, { use }]) => use[kind])));
    const isDivided = users.length > 1;
    const orders: ShareOrder[] = [];
    for (const [index, [session, user]] of users.entries()) {
      if (user.awaitedSinceMs !== null) continue;
      const [requests = 0, bytes = 0] = KINDS.map((kind, at) => this.next(user, kind, wanted[at]?.[index] ?? 0));
      const isSame = requests === user.told.requests && bytes === user.told.bytes;
      if (isSame && user.wasDivided === isDivided) continue;
      user.told = { requests, bytes };
      orders.push(this.again(session, user, nowMs));
    }
    return orders;
  }

  /** The share that a session may be told now. A smaller one always; a larger one as far as others have given up theirs. */
  private next(user: User, kind: keyof Share, wanted: number): number {
    const now = user.told[kind];
    const { size } = this.users;
    if (now > 0 && size > 1 && Math.abs(wanted - now) < SHARE_STEP / size) return now;
    if (wanted < now) return wanted;
    let free = 1;
    for (const one of this.users.values()) free -= Math.max(one.told[kind], one.confirmed[kind]);
    return Math.min(wanted, now + Math.max(0, free));
  }

  private again(session: string, user: User, nowMs: number): ShareOrder {
    user.number = this.nextNumber();
    user.awaitedSinceMs ??= nowMs;
    user.wasDivided = this.users.size > 1;
    return { session, number: user.number, ...user.told, isDivided: user.wasDivided };
  }
}
