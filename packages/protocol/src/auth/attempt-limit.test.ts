// The attempt limit against a clock that stands still until the test moves it: who waits, for how long, and what is forgotten.
// Leaves to the listener's tests what happens to a connection that must wait.

import { expect, test } from 'vitest';
import { FAILED_PROOFS_ADDRESSES_MAX, FAILED_PROOFS_PER_ADDRESS_MAX, FAILED_PROOFS_WINDOW_MS } from '../limits.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { AttemptLimit } from './attempt-limit.ts';

function failTimes(limit: AttemptLimit, address: string, count: number): void {
  for (let i = 0; i < count; i++) limit.failed(address);
}

test('an address waits after its last permitted failure, others do not', () => {
  const limit = new AttemptLimit(new FakeClock());
  failTimes(limit, '10.0.0.1', FAILED_PROOFS_PER_ADDRESS_MAX - 1);
  expect(limit.waitMs('10.0.0.1')).toBe(0);
  limit.failed('10.0.0.1');
  expect(limit.waitMs('10.0.0.1')).toBe(FAILED_PROOFS_WINDOW_MS);
  expect(limit.waitMs('10.0.0.2')).toBe(0);
});

test('failures leave the window one by one', () => {
  const clock = new FakeClock();
  const limit = new AttemptLimit(clock);
  limit.failed('a');
  clock.advance(FAILED_PROOFS_WINDOW_MS / 2);
  failTimes(limit, 'a', FAILED_PROOFS_PER_ADDRESS_MAX - 1);
  expect(limit.waitMs('a')).toBe(FAILED_PROOFS_WINDOW_MS / 2);
  clock.advance(FAILED_PROOFS_WINDOW_MS / 2);
  expect(limit.waitMs('a')).toBe(0);
  limit.failed('a');
  expect(limit.waitMs('a')).toBe(FAILED_PROOFS_WINDOW_MS / 2);
});

test('the table is bounded: the address whose last failure is oldest is forgotten', () => {
  const clock = new FakeClock();
  const limit = new AttemptLimit(clock);
  failTimes(limit, 'early', FAILED_PROOFS_PER_ADDRESS_MAX);
  failTimes(limit, 'busy', FAILED_PROOFS_PER_ADDRESS_MAX);
  for (let i = 0; i < FAILED_PROOFS_ADDRESSES_MAX - 2; i++) limit.failed(`10.${i}`);
  limit.failed('busy');
  limit.failed('one more');
  limit.failed('two more');
  expect(limit.size).toBe(FAILED_PROOFS_ADDRESSES_MAX);
  expect(limit.waitMs('early')).toBe(0);
  expect(limit.waitMs('busy')).toBeGreaterThan(0);
  clock.advance(FAILED_PROOFS_WINDOW_MS);
  limit.failed('late');
  expect(limit.size).toBe(1);
});

test('setting the clock of the machine neither ends the wait nor makes it longer', () => {
  const clock = new FakeClock();
  const limit = new AttemptLimit(clock);
  failTimes(limit, 'a', FAILED_PROOFS_PER_ADDRESS_MAX);
  for (const jumpMs of [-3_600_000, 7_200_000]) {
    clock.jumpWall(jumpMs);
    expect(limit.waitMs('a')).toBe(FAILED_PROOFS_WINDOW_MS);
  }
});
