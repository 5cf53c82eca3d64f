// Tests when connection attempts get their turns: a bounded number at a time, in order of arrival and without long delays, even if an
// address is dead. No state is left behind. test/integration/many-servers.test.ts tests thousands of paths.

import { CONNECTS_AT_ONCE_MAX, CONNECT_TURN_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Connector } from '@rsio/protocol/link/path-transport';
import { beforeEach, expect, test } from 'vitest';
import { ConnectionLimiter } from './connection-limiter.ts';

const MANY = 3 * CONNECTS_AT_ONCE_MAX;

let clock: FakeClock;
let limiter: ConnectionLimiter;
let admitted: number[];
let users: object[];

beforeEach(() => {
  clock = new FakeClock();
  limiter = new ConnectionLimiter(clock);
  admitted = [];
  users = Array.from({ length: MANY }, () => ({}));
  for (const [index, user] of users.entries()) limiter.enter(user, () => admitted.push(index));
});

function first(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

test('a bounded number connects at once, and each end admits the next one in order', () => {
  expect(admitted).toEqual(first(CONNECTS_AT_ONCE_MAX));
  limiter.leave(users[7]!);
  limiter.leave(users[3]!);
  expect(admitted).toEqual(first(CONNECTS_AT_ONCE_MAX + 2));
  for (const user of users) limiter.leave(user);
  expect([admitted.length, clock.timersPending]).toEqual([MANY, 0]);
});

test('a slow connect does not delay the others for long, and no timer runs without waiting ones', () => {
  clock.advance(CONNECT_TURN_MS - 1);
  expect(admitted.length).toBe(CONNECTS_AT_ONCE_MAX);
  clock.advance(1);
  expect(admitted).toEqual(first(2 * CONNECTS_AT_ONCE_MAX));
  clock.advance(CONNECT_TURN_MS);
  expect([admitted.length, clock.timersPending]).toEqual([MANY, 0]);
});

test('a withdrawn request is skipped, and one that has had its turn may queue again', () => {
  limiter.leave(users[CONNECTS_AT_ONCE_MAX]!);
  limiter.leave(users[0]!);
  expect(admitted.at(-1)).toBe(CONNECTS_AT_ONCE_MAX + 1);
  limiter.enter(users[0]!, () => admitted.push(-1));
  clock.advance(10 * CONNECT_TURN_MS);
  expect(admitted.at(-1)).toBe(-1);
});

test('a connection waits for its turn, and one that is closed in the queue never starts', () => {
  const began: string[] = [];
  const inner: Connector = {
    connect: (_, address) => {
      began.push(address);
      return { cancel: () => began.push(`cancel ${address}`) };
    },
  };
  const nothing = (): void => {};
  const connect = (address: string): { cancel(): void } =>
    limiter.connector({}, inner).connect('10.0.0.1', address, 5000, nothing, nothing);
  const [waits, closed] = [connect('waits'), connect('closed')];
  closed.cancel();
  expect(began).toEqual([]);
  clock.advance(10 * CONNECT_TURN_MS);
  expect(began).toEqual(['waits']);
  waits.cancel();
  expect([began, clock.timersPending]).toEqual([['waits', 'cancel waits'], 0]);
});
