// Keeps the share of each session in the limits of one volume, and adapts the shares to the use. A session confirms each order. Pure: the
// functions return the orders to send. Invariant: at every moment the shares in force add up to at most 1, because a share grows only by
// parts that other sessions have confirmed giving up. A session that does not confirm within SHARE_CONFIRM_MS is not running, and counts as
// having confirmed. When this session runs again, it can use at most the rest of its old buckets. See docs/PROTOCOL.md, Limits.

import { assert } from '@rsio/base/lib/assert';
import { fairShares } from './fair-shares.ts';
import { SHARE_CONFIRM_MS, SHARE_STEP } from '../limits.ts';

/** A session's share of the limit of requests, and its share of the limit of bytes. A share is a number from 0 to 1. */
export interface Share {
  readonly requests: number;
  readonly bytes: number;
}

/** An order to tell a session its share. */
export interface ShareOrder extends Share {
  readonly session: string;
  readonly number: number;
  /** True if other sessions have a share of the same limits. */
  readonly isDivided: boolean;
}

interface User {
  told: Share;
  confirmed: Share;
  wasDivided: boolean;
  number: number;
  /** Time at which the oldest unconfirmed order was sent; null if the session has confirmed all orders. */
  awaitedSinceMs: number | null;
  use: Share;
}

const KINDS = ['requests', 'bytes'] as const;
const NONE: Share = { requests: 0, bytes: 0 };
/** Tolerance for rounding errors in the sum of many shares. */
const ROUNDING = 1e-6;

export class ShareBook {
  private readonly users = new Map<string, User>();
  /** Returns increasing numbers for the orders of the whole server. */
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

  /** Adds a session, and returns the orders to send, which always include an order for the new session. */
  add(session: string, nowMs: number): ShareOrder[] {
    const known = this.users.get(session);
    if (known !== undefined) return [this.again(session, known, nowMs), ...this.plan(nowMs)];
    const use = { requests: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
    const user: User = { told: NONE, confirmed: NONE, wasDivided: false, number: -1, awaitedSinceMs: null, use };
    this.users.set(session, user);
    const orders = this.plan(nowMs);
    return orders.some((order) => order.session === session) ? orders : [this.again(session, user, nowMs), ...orders];
  }

  /**
   * Removes a session, and returns the orders to send. `number`: number of the last order that the session had received when it closed
   * the volume. Does nothing if a later order was sent, because the session then uses the volume again.
   */
  remove(session: string, number: number, nowMs: number): ShareOrder[] {
    const user = this.users.get(session);
    if (user === undefined || user.number > number) return [];
    this.users.delete(session);
    return this.plan(nowMs);
  }

  /** Records that a session has confirmed its share. The next `plan` gives the freed part to other sessions. */
  confirmed(session: string, number: number): void {
    const user = this.users.get(session);
    if (user === undefined || user.number !== number) return;
    user.awaitedSinceMs = null;
    user.confirmed = user.told;
  }

  /**
   * Records the parts of the limits that the session uses; a part is Infinity if the session wants more than its share. The next
   * `plan` takes this use into account.
   */
  used(session: string, use: Share): void {
    const user = this.users.get(session);
    if (user !== undefined) user.use = use;
  }

  /** Treats sessions that have not confirmed in time as if they had confirmed and were idle. Returns the orders of the new plan. */
  expire(nowMs: number): ShareOrder[] {
    for (const user of this.users.values()) {
      if (user.awaitedSinceMs === null || nowMs - user.awaitedSinceMs < SHARE_CONFIRM_MS) continue;
      user.awaitedSinceMs = null;
      user.confirmed = user.told;
      user.use = NONE;
    }
    return this.plan(nowMs);
  }

  /** Returns an order with the current share for every session, because the limit or a halt has changed. */
  tellAgain(nowMs: number): ShareOrder[] {
    return [...this.users].map(([session, user]) => this.again(session, user, nowMs));
  }

  /** Returns the orders for the sessions whose share changes. */
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
    for (const kind of KINDS) assert(this.inForce(kind) <= 1 + ROUNDING, 'The shares of a limit add up to more than the limit');
    return orders;
  }

  /**
   * Returns the share that an order gives a session now. A share may always shrink; it grows only by the part that other sessions have
   * given up.
   */
  private next(user: User, kind: keyof Share, wanted: number): number {
    const now = user.told[kind];
    const { size } = this.users;
    if (now > 0 && size > 1 && Math.abs(wanted - now) < SHARE_STEP / size) return now;
    if (wanted < now) return wanted;
    return Math.min(wanted, now + Math.max(0, 1 - this.inForce(kind)));
  }

  /** Sum of the shares that sessions may be using. */
  private inForce(kind: keyof Share): number {
    let sum = 0;
    for (const { told, confirmed } of this.users.values()) sum += Math.max(told[kind], confirmed[kind]);
    return sum;
  }

  private again(session: string, user: User, nowMs: number): ShareOrder {
    user.number = this.nextNumber();
    user.awaitedSinceMs ??= nowMs;
    user.wasDivided = this.users.size > 1;
    return { session, number: user.number, ...user.told, isDivided: user.wasDivided };
  }
}
