// Tests shares of one limit among sessions that begin, end, use the volume and hang, in any order, with delayed messages. The shares in
// force never add up to more than the whole limit, and the shares are fair in the end. The buckets that apply the shares have their tests
// in packages/common. Rules: G37. docs/PROTOCOL.md, Limits.

import { expectAtLeast, expectAtMost, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fairShares } from './fair-shares.ts';
import { SHARE_CONFIRM_MS, SHARE_HEADROOM, SHARE_IDLE, SHARE_IDLE_TOTAL, SHARE_STEP } from '../limits.ts';
import { ShareBook, type ShareOrder } from './share-book.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const use = fc.oneof(fc.constant(0), fc.constant(Number.POSITIVE_INFINITY), fc.double({ min: 0, max: 2, noNaN: true }));

test('a limit is divided fairly, and as a whole', () => {
  fc.assert(
    fc.property(fc.array(use, { minLength: 1, maxLength: 40 }), (uses) => {
      const shares = fairShares(uses);
      expect(sum(shares)).toBeCloseTo(1, 9);
      const least = Math.min(SHARE_IDLE, SHARE_IDLE_TOTAL / uses.length);
      for (const [index, share] of shares.entries()) {
        expectAtLeast(share, least - 1e-12);
        const need = Math.max(least, uses[index]! * SHARE_HEADROOM);
        // A session that gets less than it needs gets at least as much as every other session.
        if (share < need - 1e-12) expectAtLeast(share, Math.max(...shares) - 1e-12);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('one hungry session beside idle ones has nearly all, and two hungry ones a half each', () => {
  expect(fairShares([Number.POSITIVE_INFINITY])).toEqual([1]);
  expect(fairShares([Number.POSITIVE_INFINITY, 0])[0]).toBeGreaterThan(0.97);
  expect(fairShares([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])).toEqual([0.5, 0.5]);
  expect(fairShares([0.1, Number.POSITIVE_INFINITY])[1]).toBeGreaterThan(0.85);
});

/** Sessions that receive orders and send confirmations late, but never out of order. */
class World {
  nowMs = 0;
  private number = 0;
  readonly book = new ShareBook(() => this.number++);
  readonly inForce = new Map<string, ShareOrder>();
  readonly orders = new Map<string, ShareOrder[]>();
  readonly confirmations = new Map<string, number[]>();

  tell(orders: readonly ShareOrder[]): void {
    for (const order of orders) this.orders.set(order.session, [...(this.orders.get(order.session) ?? []), order]);
  }

  /** Delivers the next order to the session. */
  deliver(session: string): boolean {
    const order = this.orders.get(session)?.shift();
    if (order === undefined) return false;
    this.inForce.set(session, order);
    this.confirmations.set(session, [...(this.confirmations.get(session) ?? []), order.number]);
    return true;
  }

  confirm(session: string): boolean {
    const number = this.confirmations.get(session)?.shift();
    if (number === undefined) return false;
    this.book.confirmed(session, number);
    this.tell(this.book.plan(this.nowMs));
    return true;
  }

  /** Ends the process of the session. */
  end(session: string): void {
    for (const messages of [this.inForce, this.orders, this.confirmations]) messages.delete(session);
    this.tell(this.book.remove(session, Number.POSITIVE_INFINITY, this.nowMs));
  }

  settle(): void {
    for (let isMoving = true; isMoving; )
      isMoving = [...this.orders.keys()].map((session) => this.deliver(session) || this.confirm(session)).some(Boolean);
  }

  total(kind: 'requests' | 'bytes'): number {
    return sum([...this.inForce.values()].map((order) => order[kind]));
  }
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step = fc.oneof(
  fc.record({ what: fc.constant('add' as const), name }),
  fc.record({ what: fc.constant('end' as const), name }),
  fc.record({ what: fc.constant('use' as const), name, requests: use, bytes: use }),
  fc.record({ what: fc.constantFrom('deliver' as const, 'confirm' as const), name }),
  fc.record({ what: fc.constant('again' as const), name }),
);

test('the shares in force never add up to more than the limit, however late messages are', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const world = new World();
      const there = new Set<string>();
      for (const one of steps) {
        if (one.what === 'add' && !there.has(one.name)) world.tell(world.book.add(one.name, world.nowMs));
        if (one.what === 'add') there.add(one.name);
        else if (one.what === 'end' && there.delete(one.name)) world.end(one.name);
        else if (one.what === 'use') {
          world.book.used(one.name, one);
          world.tell(world.book.plan(world.nowMs));
        } else if (one.what === 'deliver') world.deliver(one.name);
        else if (one.what === 'confirm') world.confirm(one.name);
        else if (one.what === 'again') world.tell(world.book.tellAgain(world.nowMs));
        expectAtMost(world.total('requests'), 1 + 1e-9);
        expectAtMost(world.total('bytes'), 1 + 1e-9);
      }
      world.settle();
      if (there.size === 0) return;
      // In the end, the shares add up to the whole limit, except for a remainder below SHARE_STEP, which is too small for a change.
      expectAtLeast(world.total('requests'), 1 - SHARE_STEP - 1e-9);
      expectAtMost(world.total('requests'), 1 + 1e-9);
      for (const order of world.inForce.values()) expectSame(order.isDivided, there.size > 1);
    }),
    { numRuns: 5_000 },
  );
});

test('a session that does not run holds no other back for longer than the time to confirm', () => {
  const world = new World();
  world.tell(world.book.add('a', 0));
  world.settle();
  expect(world.inForce.get('a')?.requests).toBe(1);
  world.tell(world.book.add('b', 0));
  while (world.deliver('b')) world.confirm('b');
  expect(world.inForce.get('b')?.requests).toBe(0);
  world.tell(world.book.expire(SHARE_CONFIRM_MS - 1));
  world.deliver('b');
  expect(world.inForce.get('b')?.requests).toBe(0);
  world.tell(world.book.expire(SHARE_CONFIRM_MS));
  while (world.deliver('b')) world.confirm('b');
  expect(world.inForce.get('b')?.requests).toBeGreaterThanOrEqual(0.5);
});

test('the end of a use that crosses a new grant on its way ends nothing', () => {
  const world = new World();
  world.tell(world.book.add('a', 0));
  const [first] = world.orders.get('a') ?? [];
  world.settle();
  world.tell(world.book.add('a', 0));
  expect(world.book.remove('a', first?.number ?? -1, 0)).toEqual([]);
  expect(world.book.sessions).toEqual(['a']);
});
