// The order of connection attempts: so many at a time, first come first served, none delayed for long, and no state left behind.
// The effect for thousands of paths is tested in test/integration/many-servers.test.ts.

import { CONNECTS_AT_ONCE_MAX, CONNECT_TURN_MS } from './limits.ts';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import type { Connector } from '@rsio/protocol/link/path-transport';
import { beforeEach, expect, test } from 'vitest';
import { ConnectionLimiter } from './connection-limiter.ts';

const MANY = 3 * CONNECTS_AT_ONCE_MAX;

let clock: FakeClock;
let turnstile: ConnectionLimiter;
let gone: number[];
let people: object[];

beforeEach(() => {
  clock = new FakeClock();
  turnstile = new ConnectionLimiter(clock);
  gone = [];
  people = Array.from({ length: MANY }, () => ({}));
  for (const [index, who] of people.entries()) turnstile.enter(who, () => gone.push(index));
});

function first(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

test('so many go at once, the others as soon as one has left, in order', () => {
  expect(gone).toEqual(first(CONNECTS_AT_ONCE_MAX));
  turnstile.leave(people[7]!);
  turnstile.leave(people[3]!);
  expect(gone).toEqual(first(CONNECTS_AT_ONCE_MAX + 2));
  for (const who of people) turnstile.leave(who);
  expect([gone.length, clock.timersPending]).toEqual([MANY, 0]);
});

test('who stays for long keeps nobody waiting, and no timer runs when nobody waits', () => {
  clock.advance(CONNECT_TURN_MS - 1);
  expect(gone.length).toBe(CONNECTS_AT_ONCE_MAX);
  clock.advance(1);
  expect(gone).toEqual(first(2 * CONNECTS_AT_ONCE_MAX));
  clock.advance(CONNECT_TURN_MS);
  expect([gone.length, clock.timersPending]).toEqual([MANY, 0]);
});

test('who does not want any more is passed over; who is in his turn may come again', () => {
  turnstile.leave(people[CONNECTS_AT_ONCE_MAX]!);
  turnstile.leave(people[0]!);
  expect(gone.at(-1)).toBe(CONNECTS_AT_ONCE_MAX + 1);
  turnstile.enter(people[0]!, () => gone.push(-1));
  clock.advance(10 * CONNECT_TURN_MS);
  expect(gone.at(-1)).toBe(-1);
});

test('a connection waits for its turn, and one that is given up in the queue is never begun', () => {
  const began: string[] = [];
  const inner: Connector = {
    connect: (_, address) => {
      began.push(address);
      return { cancel: () => began.push(`cancel ${address}`) };
    },
  };
  const nothing = (): void => {};
  const connect = (address: string): { cancel(): void } =>
    turnstile.connector({}, inner).connect('10.0.0.1', address, 5000, nothing, nothing);
  const [waits, givenUp] = [connect('waits'), connect('given up')];
  givenUp.cancel();
  expect(began).toEqual([]);
  clock.advance(10 * CONNECT_TURN_MS);
  expect(began).toEqual(['waits']);
  waits.cancel();
  expect([began, clock.timersPending]).toEqual([['waits', 'cancel waits'], 0]);
});
