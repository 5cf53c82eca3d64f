// Tests when a pool counts as having less than its reserve free, when the server warns, and that small changes of the free space cause no
// further reports. Real file systems are tested in test/integration/full-pool.test.ts. Rules: G16.

import { expect, test } from 'vitest';
import type { PoolId } from './disk/ids.ts';
import { PoolSpace } from './pool-space.ts';

const GIB = 1024 ** 3;
const ID = '00000000-0000-4000-8000-00000000000a';

/** Returns a pool of 100 GiB with a reserve of 5 GiB. */
function pool(freeGib: number | null, { name = 'fast', id = ID as PoolId, reserve = 0.05 } = {}) {
  const space = freeGib === null ? null : { totalBytes: 100 * GIB, freeBytes: freeGib * GIB };
  return { name, identity: { id, createdMs: 0 }, space, reserve };
}

/**
 * Measures a pool once for each number in `free`, which is its free space in GiB. Returns the levels of the reports after each
 * measurement.
 */
function levels(free: readonly number[]): string[] {
  const space = new PoolSpace();
  return free.map((gib) =>
    space
      .look([pool(gib)])
      .map(({ level, text }) => `${level} ${/\d\d%|reserve/.exec(text)?.[0]}`)
      .join(', '),
  );
}

test('80, 90 and 95 percent are reported once each, and again only after the use has clearly fallen', () => {
  expect(levels([50, 20, 20.5, 19, 10, 10.5, 9, 5])).toEqual(['', 'warn 80%', '', '', 'warn 90%', '', '', 'warn 95%']);
  expect(levels([20, 21, 20, 22.5, 20])).toEqual(['warn 80%', '', '', 'info 80%', 'warn 80%']);
});

test('a pool is short below its reserve, and has room again with a little more than that', () => {
  const space = new PoolSpace();
  const shortWith = (gib: number): boolean => (space.look([pool(gib)]), space.shortIds.length > 0);
  expect([5, 4.9, 5, 5.9, 6, 5].map(shortWith)).toEqual([false, true, true, true, false, false]);
});

test('a short pool is reported with its numbers, once, and once when it has room', () => {
  const space = new PoolSpace();
  space.look([pool(5)]);
  expect(space.look([pool(4)])).toEqual([
    {
      pool: 'fast',
      state: 'short of space',
      level: 'error',
      text:
        'Pool fast has 4g free, less than its reserve of 5g: writes that need new space wait. ' +
        'Enlarge its file system, remove volumes, or lower reserve in rssrvcfg',
    },
  ]);
  expect(space.look([pool(3)])).toEqual([]);
  expect(space.look([pool(8)]).map(({ text }) => text)).toEqual([
    'Pool fast has 8g free, more than its reserve of 5g: no write waits for it',
  ]);
});

test('a pool whose section was renamed stays short and is not reported again', () => {
  const space = new PoolSpace();
  space.look([pool(4)]);
  expect(space.look([pool(4, { name: 'quick' })])).toEqual([]);
  expect([space.shortIds, space.of(pool(null))]).toEqual([[ID], { isShort: true, fullPercent: 95 }]);
});

test('a pool without a reserve, of unknown space, or no longer configured is not short', () => {
  const space = new PoolSpace();
  space.look([pool(0, { reserve: 0 })]);
  expect(space.shortIds).toEqual([]);
  space.look([pool(1)]);
  expect(space.shortIds).toEqual([ID]);
  space.look([pool(null)]);
  expect(space.shortIds).toEqual([]);
});

test('a pool near its reserve is measured often', () => {
  const space = new PoolSpace();
  expect([space.isNear([pool(50)]), space.isNear([pool(20)]), space.isNear([pool(null)])]).toEqual([false, true, false]);
});
