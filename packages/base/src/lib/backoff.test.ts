// Tests that back-off times grow within their bounds.
// The test supplies the random numbers, and no test waits.

import { expect, test } from 'vitest';
import { Backoff } from './backoff.ts';

test('doubles from the minimum to the maximum, and restarts after a reset', () => {
  const backoff = new Backoff(200, 5000, () => 1);
  expect([1, 2, 3, 4, 5, 6, 7].map(() => backoff.nextMs())).toEqual([200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(backoff.retries).toBe(7);
  backoff.reset();
  expect([backoff.retries, backoff.nextMs()]).toEqual([0, 200]);
});

test('grows by the configured factor', () => {
  const backoff = new Backoff(100, 300, () => 1, 1.5);
  expect([1, 2, 3, 4].map(() => backoff.nextMs())).toEqual([100, 150, 225, 300]);
});

test('jitter removes a quarter at most', () => {
  const backoff = new Backoff(200, 5000, () => 0);
  expect([backoff.nextMs(), backoff.nextMs()]).toEqual([150, 300]);
});

test('stays at the maximum however often it failed', () => {
  const backoff = new Backoff(200, 5000, () => 1);
  for (let times = 0; times < 5000; times++) backoff.nextMs();
  expect(backoff.nextMs()).toBe(5000);
});

test('a single failure may use another factor', () => {
  const backoff = new Backoff(100, 300, () => 1);
  expect([backoff.nextMs(1.1), backoff.nextMs(1.1), backoff.nextMs(), backoff.nextMs(1.1), backoff.nextMs(1.5)]).toEqual([
    100, 110.00000000000001, 220.00000000000003, 242.00000000000006, 300,
  ]);
});
