// The simulated cache forgets as a kernel's does: an error is told once to each descriptor, and a sync after it says OK although the sectors
// are lost. Leaves what is made of that to the seeds.

import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { beforeEach, expect, test } from 'vitest';
import { SimCache } from './sim-cache.ts';

const SECTORS = 64;
let cache: SimCache;

beforeEach(() => {
  cache = new SimCache(SECTORS, new SeededRandom(1));
  cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
});

/** Sectors that show the new content. */
function shown(): number {
  return Array.from({ length: SECTORS }, (_unused, at) => cache.content[at * SECTOR_BYTES]).filter((byte) => byte === 1).length;
}

/** Until some are forgotten; gives how many. */
function fail(): number {
  for (;;) {
    cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
    const count = cache.writeBackFails();
    if (count > 0) return count;
  }
}

test('an error is told once to each descriptor, and to the next one if nobody was told', () => {
  const first = cache.open();
  fail();
  const second = cache.open();
  expect(cache.tell(first)).not.toBeNull();
  expect(cache.tell(first)).toBeNull();
  expect(cache.tell(second), 'opened while nobody had been told').not.toBeNull();
  expect(cache.tell(cache.open()), 'opened after that').toBeNull();
});

test('what was forgotten shows until it is evicted, whatever is synced', () => {
  const forgotten = fail();
  cache.writeBack();
  expect([cache.hasDirty, shown()]).toEqual([false, SECTORS]);
  expect(cache.isUnwritten(0, SECTORS)).toBe(true);
  cache.evict(1);
  expect(shown()).toBe(SECTORS - forgotten);
});

test('a crash leaves what is on disk, and nothing that was forgotten', () => {
  const forgotten = fail();
  cache.writeBack();
  cache.crashed();
  expect(shown()).toBe(SECTORS - forgotten);
  expect(cache.isUnwritten(0, SECTORS)).toBe(false);
});

test('what is written anew is not forgotten any more', () => {
  fail();
  cache.change(0, SECTORS * SECTOR_BYTES, Buffer.alloc(SECTORS * SECTOR_BYTES, 1), 0);
  cache.writeBack();
  cache.crashed();
  expect(shown()).toBe(SECTORS);
});
