// Tests snapshots of volumes over several pools: content, clones, rollbacks and removals, refusals that name the pool, and a stop at every
// step. At the start after a stop, all pools are present, or one is absent. snapshots-random.test.ts has random sequences. Rules: G26.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { describe, expect, test } from 'vitest';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { REMOVED_KEPT_MS } from '../pools/limits.ts';
import { promisedBytes } from '../pools/catalogue.ts';
import { PLAIN_CLONES } from '../testing/plain-clones.ts';
import { DB, directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { POOL_IDS, PoolScene, type SceneOptions } from '../testing/pool-scene.ts';
import { stopped } from '../testing/stopped-verbs.ts';
import { snapshotContent, volumeContent, volumeIn, writeVolume } from '../testing/volume-content.ts';
import { snapshotsOf } from './snapshot-rules.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const NAMES = ['a', 'b', 'c'];
/** Pools that are absent at the first start after a stop. */
const ABSENT = [null, 'a', 'b'];
const KIB = 1024;
const STRIPE = { pools: ['a', 'b'], chunkBytes: 4 * KIB, sizeBytes: 32 * KIB };
const CONCAT = { pools: ['a', 'b', 'c'], sizeBytes: 24 * KIB };
const MONDAY = { ...DB, snapshot: 'monday' };
const COPY = { name: 'copy', universe: 0 };

async function openAll(options: Partial<SceneOptions> = {}): Promise<PoolScene> {
  const scene = await PoolScene.open(directory, { clock: systemClock, names: NAMES, ...options });
  scenes.push(scene);
  return scene;
}

function fill(scene: PoolScene, seed: number, name = 'db'): Buffer {
  const { sizeBytes } = volumeIn(scene, name).manifest;
  const content = Buffer.alloc(sizeBytes);
  for (let block = 0; block < sizeBytes / 512; block++) content.fill((seed * 31 + block) % 251, block * 512, (block + 1) * 512);
  writeVolume(scene, name, content);
  return content;
}

function recordOf(scene: PoolScene, name: string) {
  return snapshotsOf(volumeIn(scene, 'db')).list.find((one) => one.name === name)!;
}

function filesIn(pool: string): string[] {
  return (fs.readdirSync(path.join(directory, pool), { recursive: true }) as string[]).filter((name) => name.endsWith('data'));
}

test.each([
  ['stripe', STRIPE],
  ['concat', CONCAT],
])('a snapshot of a %s keeps the content of all files, and so do a clone and a rollback', async (_kind, request) => {
  const scene = await openAll({ limitBytes: 128 * KIB });
  await scene.create(request);
  const first = fill(scene, 1);
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  fill(scene, 2);
  await scene.verbs.grow(DB, request.sizeBytes + 8 * KIB, LOCAL_ASKER, null);
  const second = fill(scene, 3);
  const promised = scene.pools.states.map(promisedBytes);
  expect(snapshotContent(scene, 'db', recordOf(scene, 'monday')).equals(first)).toBe(true);
  await scene.snapshots.clone(MONDAY, COPY, LOCAL_ASKER, null, WHOLE_TURN);
  expect(volumeContent(scene, 'copy').equals(first)).toBe(true);
  expect(volumeIn(scene, 'copy').manifest.layout.kind).toBe(_kind);
  fill(scene, 4, 'copy');
  const { kept } = await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null);
  const now = volumeContent(scene, 'db');
  expect([now.subarray(0, first.length).equals(first), now.subarray(first.length).every((byte) => byte === 0)]).toEqual([true, true]);
  expect(snapshotContent(scene, 'db', recordOf(scene, kept!.name)).equals(second)).toBe(true);
  expect(snapshotContent(scene, 'db', recordOf(scene, 'monday')).equals(first)).toBe(true);
  // A pool promises no bytes for a snapshot, but promises the size of a clone.
  await scene.verbs.remove(COPY, LOCAL_ASKER, null);
  await scene.verbs.purgeRemoved({ volume: COPY, id: null, olderMs: 0 }, LOCAL_ASKER);
  expect(scene.pools.states.map(promisedBytes)).toEqual(promised);
  const before = NAMES.map((name) => filesIn(name).length);
  await scene.snapshots.remove({ ...DB, snapshot: kept!.name }, LOCAL_ASKER, null);
  const parts = request === CONCAT ? 3 : 2;
  expect(NAMES.map((name, index) => (before[index] ?? 0) - filesIn(name).length)).toEqual([1, 1, parts - 2]);
  const picture = scene.picture();
  expect(picture).not.toMatch(/finding|new|pending/);
  expect(await PoolScene.picture(directory, { clock: systemClock, names: NAMES })).toBe(picture);
});

test('a rollback of a concat to a snapshot from before it went on in another pool', async () => {
  const scene = await openAll();
  await scene.create({ pools: ['a', 'b'], sizeBytes: 16 * KIB });
  const first = fill(scene, 1);
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  await scene.verbs.grow(DB, 24 * KIB, LOCAL_ASKER, null, 'c');
  const second = fill(scene, 2);
  const { kept } = await scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null);
  expect(volumeContent(scene, 'db').equals(Buffer.concat([first, Buffer.alloc(8 * KIB)]))).toBe(true);
  expect(snapshotContent(scene, 'db', recordOf(scene, kept!.name)).equals(second)).toBe(true);
});

test('a volume that is deleted for good takes the files of its snapshots along, also from a pool that was absent', async () => {
  let nowMs = 1_000;
  const clock = { ...systemClock, wallMs: () => nowMs, monotonicMs: () => nowMs };
  const scene = await openAll({ clock });
  await scene.create(CONCAT);
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.pools.close();
  fs.renameSync(path.join(directory, 'b'), path.join(directory, 'away'));
  const without = await openAll({ clock, absent: ['b'] });
  await without.verbs.purgeExpired();
  nowMs += REMOVED_KEPT_MS;
  await without.verbs.purgeExpired();
  await without.pools.close();
  fs.renameSync(path.join(directory, 'away'), path.join(directory, 'b'));
  const again = await openAll({ clock });
  expect(again.picture()).not.toMatch(/finding|purging|part/);
  expect(NAMES.flatMap(filesIn)).toEqual([]);
});

describe('a stop after any step leaves the state before or after, in all pools, also if one of them is absent at the next start', () => {
  const withSnapshot = async (scene: PoolScene): Promise<void> => {
    await scene.create(STRIPE);
    fill(scene, 1);
    await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
    fill(scene, 2);
  };
  const commitsAt = (found: readonly [string, string][]): string => {
    const states = found.map(([, state]) => state);
    const first = states.indexOf('after');
    expect(states).toEqual([...new Array<string>(first).fill('before'), ...new Array<string>(states.length - first).fill('after')]);
    return `${found[first]![0]}, ${first + 1} of ${states.length}`;
  };

  test('a snapshot', async () => {
    const found = await stopped(
      NAMES,
      async (scene) => {
        await scene.create(STRIPE);
        fill(scene, 1);
      },
      (scene) => scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, 'r', WHOLE_TURN),
      ABSENT,
    );
    expect(found).toEqual([
      ['snapshot: folder', 'before'],
      ['part: folder', 'before'],
      ['part: record', 'before'],
      ['part: flushed', 'before'],
      ['snapshot: flushed', 'before'],
      ['part: data', 'before'],
      ['part: durable', 'before'],
      ['snapshot: cloned', 'before'],
      ['snapshot: data', 'before'],
      ['snapshot: prepared', 'before'],
      ['snapshot: commit', 'after'],
      ['snapshot: durable', 'after'],
      ['part: confirmed', 'after'],
    ]);
  });

  test('snapshots of two volumes with their homes in different pools', async () => {
    const found = await stopped(
      NAMES,
      async (scene) => {
        await scene.create(STRIPE);
        await scene.create({ name: 'log', pools: ['b', 'c'], sizeBytes: 16 * KIB });
        for (const name of ['db', 'log']) fill(scene, 1, name);
      },
      (scene) => scene.snapshots.snapshot([MONDAY, { ...MONDAY, name: 'log' }], LOCAL_ASKER, null, WHOLE_TURN),
      ['b'],
    );
    expect(commitsAt(found)).toBe('snapshot: commit, 21 of 26');
  });

  test('a removal', async () => {
    const found = await stopped(NAMES, withSnapshot, (scene) => scene.snapshots.remove(MONDAY, LOCAL_ASKER, 'r'), ABSENT);
    expect(found).toEqual([
      ['part: doubted', 'before'],
      ['snapshot removal: commit', 'after'],
      ['snapshot removal: data', 'after'],
      ['snapshot removal: durable', 'after'],
      ['part: purged', 'after'],
      ['part: deleted', 'after'],
    ]);
  });

  test('a clone', async () => {
    const found = await stopped(NAMES, withSnapshot, (scene) => scene.snapshots.clone(MONDAY, COPY, LOCAL_ASKER, null, WHOLE_TURN), ['b']);
    expect(commitsAt(found)).toBe('create: commit, 10 of 12');
  });

  test('a rollback', async () => {
    const found = await stopped(NAMES, withSnapshot, (scene) => scene.snapshots.rollback(MONDAY, LOCAL_ASKER, 'r'), ['a', 'b']);
    expect(commitsAt(found)).toMatch(/^change: commit, /);
  });
});

describe('refused', () => {
  test('a pool without reflink among those of the volume is named, and nothing remains', async () => {
    const cloneFile: typeof PLAIN_CLONES.cloneFile = (from, to) =>
      from.startsWith(path.join(directory, 'b'))
        ? Promise.reject(Object.assign(new Error('EOPNOTSUPP'), { code: 'EOPNOTSUPP' }))
        : PLAIN_CLONES.cloneFile(from, to);
    const scene = await openAll({ reflink: { ...PLAIN_CLONES, cloneFile } });
    await scene.create(CONCAT);
    const before = scene.picture();
    await expect(scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN)).rejects.toMatchObject({
      code: 'E_NO_REFLINK',
      message: expect.stringContaining(`The file system of ${path.join(directory, 'b')} has no reflink`) as string,
    });
    expect(scene.picture()).toBe(before);
    expect(NAMES.map((name) => filesIn(name).length)).toEqual([1, 1, 1]);
  });

  test('a pool that is absent is named', async () => {
    const scene = await openAll();
    await scene.create(CONCAT);
    await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
    await scene.pools.close();
    fs.renameSync(path.join(directory, 'c'), path.join(directory, 'away'));
    const without = await openAll({ absent: ['c'] });
    const text = `Pool id ${POOL_IDS[2]}, which has a file of the volume, is not open: mount it, then run rsadm reload`;
    for (const verb of [
      () => without.snapshots.snapshot([{ ...DB, snapshot: 'b' }], LOCAL_ASKER, null, WHOLE_TURN),
      () => without.snapshots.remove(MONDAY, LOCAL_ASKER, null),
      () => without.snapshots.clone(MONDAY, COPY, LOCAL_ASKER, null, WHOLE_TURN),
      () => without.snapshots.rollback(MONDAY, LOCAL_ASKER, null),
    ])
      await expect(verb()).rejects.toMatchObject({ code: 'E_POOL', message: text });
    expect(without.picture()).toContain('"name":"monday"');
  });

  test('a client that may not use one of the pools', async () => {
    const asker = new Asker('big-2', { role: 'manage', pools: ['a', 'b'], limitBytes: null });
    const scene = await openAll();
    await scene.create(CONCAT);
    await expect(scene.snapshots.snapshot([MONDAY], asker, null, WHOLE_TURN)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  });
});
