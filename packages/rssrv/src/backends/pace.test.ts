// When calls leave the loop for the pool and come back, on a clock that only the test moves.
// Leaves the calls themselves to file-backend.test.ts.

import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_EXCUSED_AFTER, SLOW_CALL_US } from '@rsio/protocol/limits';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

function call(pace: Pace, clock: FakeClock, tookUs: number, lengthBytes = 512): boolean {
  if (!pace.enter()) return false;
  clock.advance(tookUs / 1000);
  pace.leave(lengthBytes);
  return true;
}

function pooledInARow(pace: Pace, clock: FakeClock): number {
  let count = 0;
  while (!call(pace, clock, 1)) count++;
  return count;
}

test('fast calls stay on the loop', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'sync');
  for (let index = 0; index < 10_000; index++) expect(call(pace, clock, SLOW_CALL_US - 1)).toBe(true);
});

test('a slow call sends exactly one run of requests to the pool, then the storage is probed', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'sync');
  expect(call(pace, clock, SLOW_CALL_US + 10)).toBe(true);
  expect(pooledInARow(pace, clock)).toBe(POOL_RUN_REQUESTS);
  expect(call(pace, clock, 1)).toBe(true);
});

test('a probe that is slow begins the next run', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'pool');
  for (let run = 0; run < 3; run++) {
    let pooled = 0;
    while (!call(pace, clock, SLOW_CALL_US * 10)) pooled++;
    expect(pooled).toBe(POOL_RUN_REQUESTS);
  }
});

test('long calls may take longer, because copying takes time', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'sync');
  const lengthBytes = 1024 * 1024;
  const allowedUs = SLOW_CALL_US + lengthBytes / SLOW_CALL_BYTES_PER_US;
  call(pace, clock, allowedUs - 5, lengthBytes);
  expect(pooledInARow(pace, clock)).toBe(0);
  call(pace, clock, allowedUs + 5, lengthBytes);
  expect(pooledInARow(pace, clock)).toBe(POOL_RUN_REQUESTS);
});

test('one slow call after many fast ones is excused, a second one soon after it is not', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'sync');
  for (let index = 0; index < SLOW_CALL_EXCUSED_AFTER; index++) call(pace, clock, 1);
  call(pace, clock, SLOW_CALL_US * 10);
  expect(pooledInARow(pace, clock)).toBe(0);
  call(pace, clock, SLOW_CALL_US * 10);
  expect(pooledInARow(pace, clock)).toBe(POOL_RUN_REQUESTS);
});

test('a probe after a run in the pool is not excused, however many calls were fast before', () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 'sync');
  for (let index = 0; index < SLOW_CALL_EXCUSED_AFTER; index++) call(pace, clock, 1);
  for (let slow = 0; slow < 2; slow++) call(pace, clock, SLOW_CALL_US * 10);
  expect(pooledInARow(pace, clock)).toBe(POOL_RUN_REQUESTS);
  call(pace, clock, SLOW_CALL_US * 10);
  expect(pooledInARow(pace, clock)).toBe(POOL_RUN_REQUESTS);
});
