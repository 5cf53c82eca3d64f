// Compares the blocks of the replay log with a map from sectors to content and age. The test uses so many positions that hashes collide,
// and ranges so large that removing a range visits every block. Rules: L3.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { BLOCK_SECTORS, ReplayBlocks, SlabPool } from './replay-blocks.ts';

const SECTORS = 24_000;
const WRITE_SECTORS_MAX = 60;

interface Kept {
  readonly value: number;
  readonly age: number;
}

/** Reads every sector as a replay does. Returns the number of sectors, and how many differ from the map. */
function compared(blocks: ReplayBlocks, naive: ReadonlyMap<number, Kept>): { found: number; wrong: number } {
  let [found, wrong, before] = [0, 0, -1];
  const sector = Buffer.alloc(SECTOR_BYTES + 1);
  for (const position of blocks.positions()) {
    if (position <= before) wrong++;
    before = position;
    for (let at = blocks.seek(position, 0, true); at < BLOCK_SECTORS; at = blocks.seek(position, at + 1, true)) {
      const lba = position * BLOCK_SECTORS + at;
      blocks.read(position, at, at + 1, sector, 1);
      found++;
      if (sector.readUInt32BE(1) !== naive.get(lba)?.value || sector.readUInt32BE(SECTOR_BYTES - 3) !== lba) wrong++;
    }
  }
  return { found, wrong };
}

test.each([1, 2, 3])('the blocks hold the same as a map, seed %i', (seed) => {
  const random = new SeededRandom(seed);
  const blocks = new ReplayBlocks(new SlabPool(8));
  const naive = new Map<number, Kept>();
  const data = Buffer.alloc(WRITE_SECTORS_MAX * SECTOR_BYTES + 7);
  for (let step = 1; step <= 4_000; step++) {
    const lba = random.int(0, SECTORS);
    if (random.chance(0.9)) {
      const sectors = random.int(1, WRITE_SECTORS_MAX);
      for (let at = 0; at < sectors; at++) {
        data.writeUInt32BE(step, 7 + at * SECTOR_BYTES);
        data.writeUInt32BE(lba + at, 7 + (at + 1) * SECTOR_BYTES - 4);
        naive.set(lba + at, { value: step, age: step });
      }
      blocks.put(lba, sectors, data, 7, step);
    } else if (random.chance(0.98)) {
      const sectors = random.chance(0.1) ? 2 ** 40 : random.int(1, 400);
      const first = sectors > SECTORS ? SECTORS - random.int(0, 500) : lba;
      blocks.cut(first, sectors);
      for (let at = first; at < Math.min(first + sectors, SECTORS + WRITE_SECTORS_MAX); at++) naive.delete(at);
    } else {
      const age = step - random.int(0, 500);
      blocks.trim(age);
      for (const [sector, kept] of naive) if (kept.age <= age) naive.delete(sector);
    }
    if (blocks.sectors !== naive.size) expect.fail(`Step ${step}: ${blocks.sectors} sectors instead of ${naive.size}`);
    if (step % 200 === 0) expect(compared(blocks, naive)).toEqual({ found: naive.size, wrong: 0 });
  }
  blocks.clear();
  expect([blocks.count, blocks.sectors, blocks.positions().length]).toEqual([0, 0, 0]);
});
