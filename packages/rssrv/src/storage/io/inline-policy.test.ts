// Tests when calls move from the event loop to the thread pool, and when calls return to the loop. The test controls the clock and the
// number of sleeps. file-backend.test.ts tests real calls.

import { ownSleeps } from '@rsio/base/daemon/process-facts';
import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_US, SLOW_CALL_WATCHED_CALLS, STORAGE_SILENT_MS } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import { InlinePolicy } from './inline-policy.ts';

let clock: FakeClock;
let sleeps: number;

beforeEach(() => {
  clock = new FakeClock();
  sleeps = 7;
});

const paceFrom = (start: 'sync' | 'pool'): InlinePolicy => new InlinePolicy(clock, start, () => sleeps);

/** Returns true if the call ran on the event loop. */
function call(pace: InlinePolicy, tookUs: number, hasSlept: boolean, lengthBytes = 512): boolean {
  if (!pace.mayRunInline()) return false;
  clock.advance(tookUs / 1000);
  if (hasSlept) sleeps++;
  pace.inlineEnded(lengthBytes);
  return true;
}

const fast = (pace: InlinePolicy): boolean => call(pace, 1, false);
const slow = (pace: InlinePolicy): boolean => call(pace, SLOW_CALL_US * 10, true);
/** Makes a call that is slow because another program used the processor. */
const delayed = (pace: InlinePolicy): boolean => call(pace, SLOW_CALL_US * 10, false);

function pooledInARow(pace: InlinePolicy): number {
  let count = 0;
  while (!fast(pace)) count++;
  return count;
}

test('fast calls stay on the loop, whether or not the process slept in them', () => {
  const pace = paceFrom('sync');
  for (let index = 0; index < 10_000; index++) expect(call(pace, SLOW_CALL_US - 1, index % 2 === 0)).toBe(true);
});

test('two slow calls that slept send exactly one run of requests to the pool, then the storage is probed', () => {
  const pace = paceFrom('sync');
  expect(slow(pace)).toBe(true);
  expect(slow(pace)).toBe(true);
  expect(pooledInARow(pace)).toBe(POOL_RUN_REQUESTS);
  expect(fast(pace)).toBe(true);
});

test('calls stay on the loop however often the process itself is descheduled', () => {
  const pace = paceFrom('sync');
  for (let index = 0; index < 1000; index++) expect(delayed(pace)).toBe(true);
});

test('a call that waits for the storage is told apart from calls that were descheduled', () => {
  const pace = paceFrom('sync');
  for (let index = 0; index < 10; index++) delayed(pace);
  slow(pace);
  expect(pooledInARow(pace)).toBe(POOL_RUN_REQUESTS);
});

test('without sleep counters the second slow call counts', () => {
  const pace = new InlinePolicy(clock, 'sync', () => 0);
  delayed(pace);
  expect(pooledInARow(pace)).toBe(0);
  delayed(pace);
  expect(pooledInARow(pace)).toBe(POOL_RUN_REQUESTS);
});

test('a slow probe starts the next run in the pool', () => {
  const pace = paceFrom('pool');
  for (let run = 0; run < 3; run++) {
    let pooled = 0;
    while (!slow(pace)) pooled++;
    expect(pooled).toBe(POOL_RUN_REQUESTS);
  }
});

test('long transfers are allowed more time because copying takes time', () => {
  const pace = paceFrom('sync');
  const lengthBytes = 1024 * 1024;
  const allowedUs = SLOW_CALL_US + lengthBytes / SLOW_CALL_BYTES_PER_US;
  for (let index = 0; index < 3; index++) call(pace, allowedUs - 5, true, lengthBytes);
  expect(pooledInARow(pace)).toBe(0);
  for (let index = 0; index < 2; index++) call(pace, allowedUs + 5, true, lengthBytes);
  expect(pooledInARow(pace)).toBe(POOL_RUN_REQUESTS);
});

test('one slow call among many fast ones changes nothing; one slow call while the storage is watched sends requests to the pool', () => {
  const pace = paceFrom('sync');
  for (let round = 0; round < 3; round++) {
    slow(pace);
    for (let index = 0; index < SLOW_CALL_WATCHED_CALLS; index++) expect(fast(pace)).toBe(true);
  }
  slow(pace);
  for (let index = 1; index < SLOW_CALL_WATCHED_CALLS; index++) expect(fast(pace)).toBe(true);
  slow(pace);
  expect(pooledInARow(pace)).toBe(POOL_RUN_REQUESTS);
});

// Regression: while calls in the pool hung, other calls of the volume ran on the event loop. The first call that hung on the event loop
// stopped the process with all its volumes.
test('while calls in the pool hang, none runs on the loop; they return to the loop once one has ended', () => {
  for (const start of ['sync', 'pool'] as const) {
    const pace = paceFrom(start);
    pooledInARow(pace);
    pace.poolBegan();
    clock.advance(STORAGE_SILENT_MS - 1);
    expect(fast(pace)).toBe(true);
    clock.advance(1);
    for (let index = 0; index < 2 * POOL_RUN_REQUESTS; index++) {
      expect(fast(pace)).toBe(false);
      pace.poolBegan();
    }
    pace.poolEnded();
    expect(fast(pace)).toBe(true);
  }
});

test('a process that waits counts as having slept', async () => {
  const before = ownSleeps();
  expect(before).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ownSleeps()).toBeGreaterThan(before);
});
