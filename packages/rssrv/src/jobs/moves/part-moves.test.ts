// Tests moves of a file of a volume over several pools, together with the files of snapshots. The tests check the content while clients
// write, a stop of the server after each step, a start with all pools or without one pool, cancelled jobs, several files in one pool, and
// refusals. The tests run on any file system, because a stand-in compares contents instead of extents. Rules: G28.

import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { findVolume } from '../../pools/catalogue.ts';
import { type MoveHooks, MoveScene } from '../../testing/move-scene.ts';
import type { PoolScene, SceneOptions } from '../../testing/pool-scene.ts';
import { directory, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';
import { snapshotContent, volumeContent, volumeIn, writeVolume } from '../../testing/volume-content.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { decidePartMove } from './part-rules.ts';
import { eachStop, type Stop, whileAway } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';

const KIB = 1024;
const NAMES = ['a', 'b', 'c'];
const DB = { name: 'db', universe: 0 };
const STRIPE = { pools: ['a', 'b'], chunkBytes: 4 * KIB, sizeBytes: 36 * KIB };
const CONCAT = { pools: ['a', 'b'], sizeBytes: 36 * KIB };
const BLOCKS = 9;
/** Steps after which the tests also start the server while one of the pools is absent. */
const DECISIVE = new Set(['part: doubted', 'change: commit']);

useTwoPools();

async function open(at = directory, options: Partial<SceneOptions> = {}, hooks: MoveHooks = {}): Promise<MoveScene> {
  const moves = new MoveScene(await openTwoPools(at, { names: NAMES, ...options }), hooks);
  await moves.jobs.load();
  return moves;
}

function content(seed: number): Buffer {
  return Buffer.concat(Array.from({ length: BLOCKS }, (_, block) => Buffer.alloc(4 * KIB, (seed * 31 + block) % 251)));
}

/** Returns content that seed `first` determines before the given block, and seed `second` from this block on. */
function mixed(first: number, second: number, block: number): Buffer {
  return Buffer.concat([content(first).subarray(0, block * 4 * KIB), content(second).subarray(block * 4 * KIB)]);
}

async function snapshot({ snapshots }: PoolScene, name: string): Promise<void> {
  await snapshots.snapshot([{ ...DB, snapshot: name }], LOCAL_ASKER, null, WHOLE_TURN);
}

/** Maps the name of each snapshot to the seed of its content. */
function snapshotsIn(scene: PoolScene): Record<string, number | undefined> {
  return Object.fromEntries(
    snapshotsOf(volumeIn(scene, 'db')).list.map((one) => [
      one.name,
      [1, 2, 3].find((seed) => snapshotContent(scene, 'db', one).equals(content(seed))),
    ]),
  );
}

/**
 * Returns one text for the volume and one for each snapshot, such as `ac`: the names of the pools that have its files. Equal texts occur
 * once.
 */
function poolsOf(scene: PoolScene): string[] {
  const { pool, manifest } = volumeIn(scene, 'db');
  const all = [manifest, ...snapshotsOf({ pool, manifest }).list];
  const names = all.map(({ layout }) =>
    layout === undefined || layout.kind === 'simple'
      ? ''
      : layout.parts.map(({ poolId }) => scene.pools.states.find(({ identity }) => identity?.id === poolId)?.name ?? '?').join(''),
  );
  return [...new Set(names)];
}

/** Expects that the move has left no temporary files, and that the pools have exactly the files that the manifests name. */
function expectTidy(scene: PoolScene, at: string, step = ''): void {
  expect(scene.picture(), step).not.toMatch(/finding|new part|pending/);
  for (const name of NAMES) {
    const moving = path.join(at, name, 'moving');
    expect([step, fs.existsSync(moving) ? fs.readdirSync(moving) : []]).toEqual([step, []]);
  }
}

/** Makes snapshots, and moves the file in pool b to pool c while clients write. */
async function wholeMove(
  at: string,
  request: typeof STRIPE | typeof CONCAT,
  seeds: readonly number[],
  reached?: (step: string) => void,
): Promise<void> {
  let moves: MoveScene | null = null;
  const hooks: MoveHooks = {
    round: () => writeVolume(moves!.scene, 'db', mixed(3, 4, 5)),
    waiting: () => writeVolume(moves!.scene, 'db', mixed(3, 4, 6)),
  };
  moves = await open(at, reached === undefined ? {} : { reached }, hooks);
  await moves.scene.create(request);
  for (const seed of seeds) {
    writeVolume(moves.scene, 'db', content(seed));
    await snapshot(moves.scene, `s${seed}`);
  }
  writeVolume(moves.scene, 'db', content(3));
  await moves.begin('c', 'b');
  await moves.run();
  await moves.scene.pools.close();
}

test.each([
  ['stripe', STRIPE],
  ['concat', CONCAT],
])('a file of a %s moves under writes, with the files of snapshots', async (_kind, request) => {
  await wholeMove(directory, request, [1, 2]);
  const moves = await open();
  const { scene } = moves;
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(poolsOf(scene)).toEqual(['ac']);
  expect(volumeContent(scene, 'db').equals(mixed(3, 4, 6))).toBe(true);
  expect(snapshotsIn(scene)).toEqual({ s1: 1, s2: 2 });
  expectTidy(scene, directory);
  expect(fs.readdirSync(path.join(directory, 'b', 'parts'))).toEqual([]);
  // After the move, a snapshot can still be cloned and removed, and the volume can be rolled back to a snapshot.
  await scene.snapshots.clone({ ...DB, snapshot: 's1' }, { name: 'copy', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN);
  expect(volumeContent(scene, 'copy').equals(content(1))).toBe(true);
  await scene.snapshots.rollback({ ...DB, snapshot: 's2' }, LOCAL_ASKER, null);
  expect(volumeContent(scene, 'db').equals(content(2))).toBe(true);
  await scene.snapshots.remove({ ...DB, snapshot: 's2' }, LOCAL_ASKER, null);
  expectTidy(scene, directory);
});

test('after a stop at each step, the volume has all of its files in one place, and the next start finishes the move', async () => {
  const places: string[] = [];
  const check = async ({ step, at, variant: absent }: Stop<string | null>): Promise<void> => {
    if (absent !== null) {
      await whileAway(at, absent, async () => {
        const without = await open(at, { absent: [absent] });
        await without.run();
        await without.scene.pools.close();
      });
    }
    const first = await open(at);
    const [place = '', other] = poolsOf(first.scene);
    expect([step, absent, other]).toEqual([step, absent, undefined]);
    expect(snapshotsIn(first.scene), step).toEqual({ s2: 2 });
    const now = volumeContent(first.scene, 'db');
    // The server may have stopped before clients had made all of their writes to the old file.
    expect([step, [content(3), mixed(3, 4, 5), mixed(3, 4, 6)].some((one) => now.equals(one))]).toEqual([step, true]);
    if (place === 'ac') expect([step, now.equals(mixed(3, 4, 6))]).toEqual([step, true]);
    if (absent === null) places.push(place);
    await first.scene.pools.close();
    const again = await open(at);
    await again.run();
    expect([step, absent, again.jobs.find('1').state, again.jobs.find('1').reason]).toEqual([step, absent, 'done', null]);
    expect([step, poolsOf(again.scene)]).toEqual([step, ['ac']]);
    expect([step, volumeContent(again.scene, 'db').equals(now), snapshotsIn(again.scene)]).toEqual([step, true, { s2: 2 }]);
    expectTidy(again.scene, at, step);
    await again.scene.pools.close();
  };
  const isLeftOut = (step: string, index: number, all: readonly string[]): boolean => {
    const begin = all.indexOf('move: begun');
    // If a step occurs several times, the test stops the server at its first occurrence only, because all rounds have the same steps.
    return index < begin || (index < all.indexOf('move: spent') && all.indexOf(step, begin) < index);
  };
  const variants = (step: string) => (DECISIVE.has(step) ? [null, 'b', 'c', 'a'] : [null]);
  const steps = await eachStop((at, reached) => wholeMove(at, STRIPE, [2], reached), check, { isLeftOut, variants });
  for (const step of ['part: adopted', 'part: doubted', 'part: confirmed', 'part: deleted']) expect(steps).toContain(step);
  // Before one step, the file is always in pool b; from this step on, it is always in pool c.
  const commit = places.indexOf('ac');
  expect(commit).toBeGreaterThan(0);
  expect(places).toEqual([...new Array<string>(commit).fill('ab'), ...new Array<string>(places.length - commit).fill('ac')]);
});

test('all files of a volume in the pool move, also into its home', async () => {
  const moves = await open();
  const { scene } = moves;
  await scene.create(CONCAT);
  await scene.verbs.grow(DB, 40 * KIB, LOCAL_ASKER, null, 'c');
  await scene.verbs.grow(DB, 44 * KIB, LOCAL_ASKER, null, 'b');
  const all = Buffer.concat([content(1), Buffer.alloc(8 * KIB, 7)]);
  writeVolume(scene, 'db', all);
  await snapshot(scene, 's1');
  await moves.begin('a', 'b');
  await moves.run();
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(poolsOf(scene)).toEqual(['aaca']);
  expect(volumeContent(scene, 'db').equals(all)).toBe(true);
  expect(snapshotContent(scene, 'db', snapshotsOf(volumeIn(scene, 'db')).list[0]!).equals(all)).toBe(true);
  expectTidy(scene, directory);
});

test('a snapshot and growth during the move come along, and a removed snapshot does not', async () => {
  let moves: MoveScene | null = null;
  const changes: (() => Promise<unknown>)[] = [
    () => snapshot(moves!.scene, 's2'),
    () => moves!.scene.snapshots.remove({ ...DB, snapshot: 's1' }, LOCAL_ASKER, null),
    () => moves!.scene.verbs.grow(DB, 44 * KIB, LOCAL_ASKER, null),
  ];
  // As on a server, changes are made one at a time, and the last step of a move counts as a change.
  let last: Promise<unknown> = Promise.resolve();
  const turns = <T>(change: () => Promise<T>): Promise<T> => {
    const turn = last.then(change);
    last = turn.catch(() => undefined);
    return turn;
  };
  const changed: Promise<unknown>[] = [];
  const round = (): void => void changed.push(turns(async () => changes.shift()?.()));
  moves = await open(directory, {}, { round, turns });
  const { scene } = moves;
  await scene.create(STRIPE);
  writeVolume(scene, 'db', content(1));
  await snapshot(scene, 's1');
  writeVolume(scene, 'db', content(2));
  await moves.begin('c', 'b');
  await moves.run();
  await Promise.all(changed);
  expect(moves.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect([poolsOf(scene), snapshotsIn(scene)]).toEqual([['ac'], { s2: 2 }]);
  expect(
    volumeContent(scene, 'db')
      .subarray(0, 36 * KIB)
      .equals(content(2)),
  ).toBe(true);
  expect(volumeIn(scene, 'db').manifest.sizeBytes).toBe(44 * KIB);
  expectTidy(scene, directory);
});

test('a cancelled move leaves the files where they are, and nothing in the new pool', async () => {
  let moves: MoveScene | null = null;
  moves = await open(directory, {}, { round: () => void moves!.jobs.cancel('1') });
  await moves.scene.create(STRIPE);
  writeVolume(moves.scene, 'db', content(1));
  await moves.begin('c', 'b');
  await moves.run();
  expect(moves.jobs.find('1').state).toBe('cancelled');
  expect(poolsOf(moves.scene)).toEqual(['ab']);
  expect(volumeContent(moves.scene, 'db').equals(content(1))).toBe(true);
  expectTidy(moves.scene, directory);
});

describe('refusals', () => {
  test.each([
    ['a', 'c', /^Pool a is the home of volume db, so that its first file stays there: volume copy db NEW --pool c/],
    ['c', 'b', /^Volume db has no file in pool c: files that can be moved are in b$/],
    ['b', 'b', /^Files of volume db cannot move from pool b to the same pool/],
    ['b', 'x', /^No pool "x"/],
  ])('from %s to %s', async (from, to, text) => {
    const { scene } = await open();
    await scene.create(STRIPE);
    await scene.pools.measure();
    const catalogue = { pools: scene.pools.states, configured: [] };
    expect(() => decidePartMove(catalogue, findVolume(catalogue, DB, LOCAL_ASKER), from, to, LOCAL_ASKER)).toThrow(text);
  });

  test('to a shared pool', async () => {
    const { scene } = await open();
    await scene.create(STRIPE);
    await scene.pools.measure();
    const pools = scene.pools.states.map((one) => ({ ...one, isShared: one.name === 'c' }));
    const catalogue = { pools, configured: [] };
    expect(() => decidePartMove(catalogue, findVolume(catalogue, DB, LOCAL_ASKER), 'b', 'c', LOCAL_ASKER)).toThrow(
      'Pool c is shared, and a volume of several files would have a part in it: use pools on disks of this server',
    );
  });
});
