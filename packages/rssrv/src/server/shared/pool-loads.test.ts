// Tests the loads of shared pools: what counts as load, how often the load is measured, and that nothing waits for a measurement.
// farm/shared-pool.test.ts tests that the owner's note contains the load.

import { sessionStats, volumeStats } from '@rsio/api/testing/server-views';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { LOAD_MS } from './limits.ts';
import { loadOf, PoolLoads } from './pool-loads.ts';

const FAST = { servedNames: () => new Map([['fast', new Set(['a@0'])]]) };

const rates = { readsPerSecond: 0, writesPerSecond: 0, readBytesPerSecond: 0, writtenBytesPerSecond: 0 };
const volumesWith = (name: string, changes: Partial<typeof rates>) => volumeStats({ volume: name, ...rates, ...changes });
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

test('READs, WRITEs and 64 KiB of data count as one each, of all clients and only of these volumes', () => {
  const sessions = [
    sessionStats({
      volumes: [volumesWith('a@0', { readsPerSecond: 10, readBytesPerSecond: 40_960 }), volumesWith('c@0', { readsPerSecond: 99 })],
    }),
    sessionStats({
      volumes: [volumesWith('a@0', { writesPerSecond: 2, writtenBytesPerSecond: 655_360 }), volumesWith('b@0', { writesPerSecond: 1 })],
    }),
  ];
  expect(loadOf({ sessions }, new Set(['a@0', 'b@0']))).toBe(23.625);
  expect(loadOf({ sessions }, new Set())).toBe(0);
});

test('it is measured at intervals, smoothed, and forgotten with the pool', async () => {
  const clock = new FakeClock();
  let [reads, asked] = [100, 0];
  let served = new Map([['fast', new Set(['a@0'])]]);
  const view = async () => {
    asked++;
    return { sessions: [sessionStats({ volumes: [volumesWith('a@0', { readsPerSecond: reads })] })], waits: [] };
  };
  const loads = new PoolLoads(clock, { view }, { servedNames: () => served });
  expect(loads.of('fast')).toBe(0);
  await settled();
  expect([loads.of('fast'), asked]).toEqual([100, 1]);
  reads = 200;
  clock.advance(LOAD_MS - 1);
  expect([loads.of('fast'), asked]).toEqual([100, 1]);
  clock.advance(1);
  expect(loads.of('fast')).toBe(100);
  await settled();
  expect([loads.of('fast'), asked]).toEqual([120, 2]);
  served = new Map();
  clock.advance(LOAD_MS);
  loads.of('fast');
  await settled();
  expect(loads.of('fast')).toBe(0);
});

test('while a measurement hangs, the last load is returned, and no other begins', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const never = new Promise<never>(() => undefined);
  const loads = new PoolLoads(clock, { view: () => (asked++, never) }, FAST);
  for (let turn = 0; turn < 5; turn++) {
    expect(loads.of('fast')).toBe(0);
    clock.advance(LOAD_MS);
    await settled();
  }
  expect(asked).toBe(1);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, -5, 1e300])('a load of %d, which no note can have, is 0', async (readsPerSecond) => {
  const view = async () => ({ sessions: [sessionStats({ volumes: [volumesWith('a@0', { readsPerSecond })] })], waits: [] });
  const loads = new PoolLoads(new FakeClock(), { view }, FAST);
  loads.of('fast');
  await settled();
  expect(loads.of('fast')).toBe(0);
});

test('a measurement that fails is repeated, and ends nothing', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const loads = new PoolLoads(clock, { view: () => Promise.reject(new Error(`process has ended, ${asked++}`)) }, FAST);
  loads.of('fast');
  await settled();
  clock.advance(LOAD_MS);
  expect(loads.of('fast')).toBe(0);
  await settled();
  expect(asked).toBe(2);
});
