// The simulated cache loses data as a kernel's does: each descriptor gets an error once, and the next sync succeeds although the sectors
// are lost. Seeds test the consequences.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { beforeEach, expect, test } from 'vitest';
import { SimCache } from './sim-cache.ts';

const SECTORS = 64;
let cache: SimCache;

beforeEach(() => {
  cache = new SimCache(SECTORS, new SeededRandom(1));
  cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
});

/** Number of sectors that show the new content. */
function shown(): number {
  return Array.from({ length: SECTORS }, (_unused, at) => cache.content[at * SECTOR_BYTES]).filter((byte) => byte === 1).length;
}

/** Lets write-backs fail until at least one sector is lost. Returns the number of lost sectors. */
function fail(): number {
  for (;;) {
    cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
    const count = cache.writeBackFails();
    if (count > 0) return count;
  }
}

test('each descriptor gets an error once, and so does the next one opened if none got it', () => {
  const first = cache.open();
  fail();
  const second = cache.open();
  expect(cache.tell(first)).not.toBeNull();
  expect(cache.tell(first)).toBeNull();
  expect(cache.tell(second), 'opened while nobody had been told').not.toBeNull();
  expect(cache.tell(cache.open()), 'opened after that').toBeNull();
});

test('lost sectors show until they are evicted, whatever is synced', () => {
  const forgotten = fail();
  cache.writeBack();
  expect([cache.hasDirty, shown()]).toEqual([false, SECTORS]);
  expect(cache.isUnwritten(0, SECTORS)).toBe(true);
  cache.evict(1);
  expect(shown()).toBe(SECTORS - forgotten);
});

test('a crash leaves what is on disk, and no lost sectors', () => {
  const forgotten = fail();
  cache.writeBack();
  cache.crashed();
  expect(shown()).toBe(SECTORS - forgotten);
  expect(cache.isUnwritten(0, SECTORS)).toBe(false);
});

test('a lost sector that is written again is no longer lost', () => {
  fail();
  cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
  cache.writeBack();
  cache.crashed();
  expect(shown()).toBe(SECTORS);
});
