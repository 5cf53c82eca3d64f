// Tests which blocks a replica may lack: blocks that it had not flushed when it left, and blocks that were changed later. If the replica's
// storage still has the same incarnation, the replica lacks only the blocks that were changed later. copier-random.test.ts shows that no
// lacking block is missed. The tests below show that few other blocks are copied. Rules: M12, G33.

import { expect, test } from 'vitest';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { RegionPieces } from '../copy/region-pieces.ts';
import { RegionSet } from '../region-set.ts';
import type { BlockSet } from './block-set.ts';
import { TimesBudget } from './change-times.ts';
import { Lacks } from './lacks.ts';
import { CHANGE_REGIONS_MAX, LACK_BLOCK_BYTES } from '../limits.ts';

const REGION = MIRROR_REGION_BYTES;
const BLOCK = LACK_BLOCK_BYTES;

class Scene {
  readonly touched = new RegionSet();
  tick = 1;
  readonly lacks: Lacks;

  constructor(regions: number) {
    this.lacks = new Lacks(this.touched, new TimesBudget(regions), () => this.tick);
  }

  change(tick: number, beginBytes: number, lengthBytes: number): void {
    this.tick = tick;
    this.touched.addRange(beginBytes, beginBytes + lengthBytes);
    this.lacks.changed(beginBytes, beginBytes + lengthBytes);
  }
}

/** Returns the begin and end of each run that would be copied, in bytes. */
function runsOf(set: BlockSet, sizeBytes = 1_000 * REGION): number[] {
  const pieces = new RegionPieces();
  pieces.sizeBytes = sizeBytes;
  const runs: number[] = [];
  for (let region = set.regions.firstFrom(0); region >= 0; region = set.regions.firstFrom(region + 1)) {
    pieces.begin(region, set.blocksOf(region));
    while (pieces.uncut(() => true) >= 0) runs.push(...pieces.cut(region, REGION).runs);
  }
  return runs;
}

test('a replica lacks what it had not flushed, and what was changed since', () => {
  const scene = new Scene(10);
  scene.change(2, 0, BLOCK);
  scene.change(5, REGION + BLOCK, 2 * BLOCK);
  scene.tick = 6;
  scene.lacks.left('b', 4, 'life 1');
  scene.change(7, 10 * BLOCK + 512, 512);
  expect(runsOf(scene.lacks.of('b', 'life 2'))).toEqual([10 * BLOCK, 11 * BLOCK, REGION + BLOCK, REGION + 3 * BLOCK]);
  expect(runsOf(scene.lacks.of('b', 'life 1'))).toEqual([10 * BLOCK, 11 * BLOCK]);
  expect(runsOf(scene.lacks.of('c', 'life 1'))).toEqual([0, REGION, REGION, 2 * REGION]);
});

test('a checkpoint takes out what was copied and flushed, and what was changed later stays', () => {
  const scene = new Scene(10);
  scene.change(2, 0, 2 * REGION);
  const remaining = scene.lacks.of('b', null);
  remaining.remove(0);
  scene.change(8, 5 * BLOCK, BLOCK);
  scene.lacks.flushed('b', remaining, 8);
  expect(runsOf(scene.lacks.of('b', null))).toEqual([5 * BLOCK, 6 * BLOCK, REGION, 2 * REGION]);
});

test('without memory, and after a change of very much, whole regions are copied', () => {
  const scene = new Scene(1);
  scene.change(2, 0, BLOCK);
  scene.tick = 3;
  scene.lacks.left('b', 3, null);
  scene.change(4, BLOCK, BLOCK);
  scene.change(4, REGION, BLOCK);
  expect(runsOf(scene.lacks.of('b', null))).toEqual([BLOCK, 2 * BLOCK, REGION, 2 * REGION]);
  scene.change(5, 0, (CHANGE_REGIONS_MAX + 1) * REGION);
  expect(scene.lacks.of('b', null).regions.count).toBe(CHANGE_REGIONS_MAX + 1);
});

test('a cleared region gives its memory back and is copied no more', () => {
  const scene = new Scene(1);
  scene.change(2, 0, BLOCK);
  scene.touched.remove(0);
  scene.lacks.cleared(0);
  scene.change(3, REGION, BLOCK);
  scene.lacks.left('b', 3, null);
  expect(runsOf(scene.lacks.of('b', null))).toEqual([REGION, REGION + BLOCK]);
});

test('a piece has a bounded number of runs, and the next one goes on behind it', () => {
  const scene = new Scene(10);
  scene.lacks.left('b', 1, null);
  for (let block = 0; block < 40; block += 2) scene.change(2, block * BLOCK, BLOCK);
  const pieces = new RegionPieces();
  pieces.sizeBytes = REGION;
  pieces.begin(0, scene.lacks.of('b', null).blocksOf(0));
  const cut = [pieces.cut(0, REGION), pieces.cut(0, REGION)].map(({ beginBytes, endBytes, runs }) => [
    beginBytes,
    endBytes,
    runs.length / 2,
  ]);
  expect(cut).toEqual([
    [0, 31 * BLOCK, 16],
    [32 * BLOCK, 39 * BLOCK, 4],
  ]);
  expect(pieces.uncut(() => true)).toBe(-1);
});

test.each([2 * REGION, REGION + 3 * BLOCK, REGION + 2 * BLOCK + 512])(
  'what is left is what is copied of a volume of %i bytes',
  (sizeBytes) => {
    const scene = new Scene(10);
    scene.lacks.left('b', 1, null);
    scene.change(2, 5 * BLOCK + 512, 3 * BLOCK);
    scene.change(2, REGION + BLOCK, sizeBytes - REGION - BLOCK);
    for (const identity of ['b', 'c']) {
      const set = scene.lacks.of(identity, null);
      const copied = runsOf(set, sizeBytes).reduce((bytes, at, index) => bytes + (index % 2 === 0 ? -at : at), 0);
      expect(set.bytesIn(sizeBytes)).toBe(copied);
    }
  },
);
