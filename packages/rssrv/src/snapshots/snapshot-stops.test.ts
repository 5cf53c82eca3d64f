// Stops the server after each step of each change of snapshots. The next start finds the whole change or no change, with the right content
// in each file, and leaves no unfinished files. An integration test kills a real server at the same steps. Rules: P2, G26.

import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { expect, test } from 'vitest';
import { DB, directory, MIB, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { stopped } from '../testing/stopped-verbs.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

usePoolDirectory();

const MONDAY = { ...DB, snapshot: 'monday' };

function fill(scene: PoolScene, name: string, value: number): void {
  for (const { path: pool, volumes } of scene.pools.states)
    for (const { id, name: text, sizeBytes } of volumes.values())
      if (text === name) fs.writeFileSync(path.join(pool, 'volumes', id, 'data'), Buffer.alloc(sizeBytes, value));
}

async function withSnapshot(scene: PoolScene): Promise<void> {
  await scene.create();
  fill(scene, 'db', 1);
  await scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, null, WHOLE_TURN);
  fill(scene, 'db', 2);
}

test('a snapshot', async () => {
  const found = await stopped(
    ['fast'],
    async (scene) => {
      await scene.create();
      fill(scene, 'db', 1);
    },
    (scene) => scene.snapshots.snapshot([MONDAY], LOCAL_ASKER, 'r', WHOLE_TURN),
  );
  expect(found).toEqual([
    ['snapshot: folder', 'before'],
    ['snapshot: flushed', 'before'],
    ['snapshot: cloned', 'before'],
    ['snapshot: data', 'before'],
    ['snapshot: prepared', 'before'],
    ['snapshot: commit', 'after'],
    ['snapshot: durable', 'after'],
  ]);
});

test('a repeated request for a group is not answered with a part of it, while the pool of another part is not open', async () => {
  const names = ['fast', 'slow'];
  const at = path.join(directory, 'run');
  const moved = path.join(directory, 'stopped');
  fs.mkdirSync(at);
  const group = ['db', 'log'].map((name) => ({ name, universe: 0, snapshot: 'monday' }));
  const stop = (step: string): void => (step === 'snapshot: commit' ? fs.renameSync(at, moved) : undefined);
  const scene = await PoolScene.open(at, { clock: systemClock, names, reached: stop });
  scenes.push(scene);
  await scene.create({ name: 'db', pool: 'fast' });
  await scene.create({ name: 'log', pool: 'slow' });
  await expect(scene.snapshots.snapshot(group, LOCAL_ASKER, 'r', WHOLE_TURN)).rejects.toThrow();
  fs.renameSync(path.join(moved, 'slow'), path.join(directory, 'away'));
  const half = await PoolScene.open(moved, { clock: systemClock, names, absent: ['slow'] });
  scenes.push(half);
  const why = 'Only 1 of the 2 snapshots of this request can be seen: the pools of the others are not open, or they were removed since';
  expect(() => half.snapshots.check(group, LOCAL_ASKER, 'r')).toThrow(why);
  await expect(half.snapshots.snapshot(group, LOCAL_ASKER, 'r', WHOLE_TURN)).rejects.toMatchObject({ code: 'E_POOL', message: why });
  await half.pools.close();
  fs.renameSync(path.join(directory, 'away'), path.join(moved, 'slow'));
  const whole = await PoolScene.open(moved, { clock: systemClock, names });
  scenes.push(whole);
  expect(await whole.snapshots.snapshot(group, LOCAL_ASKER, 'r', WHOLE_TURN)).toHaveLength(2);
});

test('snapshots of three volumes in two pools at one moment', async () => {
  const names = ['db', 'log', 'index'];
  const found = await stopped(
    ['fast', 'slow'],
    async (scene) => {
      for (const [index, name] of names.entries()) {
        await scene.create({ name, pool: index === 1 ? 'slow' : 'fast' });
        fill(scene, name, index);
      }
    },
    (scene) =>
      scene.snapshots.snapshot(
        names.map((name) => ({ name, universe: 0, snapshot: 'monday' })),
        LOCAL_ASKER,
        null,
        WHOLE_TURN,
      ),
  );
  const states = found.map(([, state]) => state);
  const first = states.indexOf('after');
  expect(found[first]![0]).toBe('snapshot: commit');
  expect(states).toEqual([...new Array<string>(first).fill('before'), ...new Array<string>(states.length - first).fill('after')]);
  // Each of the three volumes has five steps before the first commit of the request, and two steps from that commit on.
  expect([first, states.length]).toEqual([15, 21]);
});

test('the removal of a snapshot', async () => {
  const found = await stopped(['fast'], withSnapshot, (scene) => scene.snapshots.remove(MONDAY, LOCAL_ASKER, null));
  expect(found).toEqual([
    ['snapshot removal: commit', 'after'],
    ['snapshot removal: data', 'after'],
    ['snapshot removal: durable', 'after'],
  ]);
});

test('a clone', async () => {
  const found = await stopped(['fast'], withSnapshot, (scene) =>
    scene.snapshots.clone(MONDAY, { name: 'copy', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN),
  );
  expect(found).toEqual([
    ['create: folder', 'before'],
    ['clone: aside', 'before'],
    ['create: manifest', 'before'],
    ['create: commit', 'after'],
    ['create: durable', 'after'],
  ]);
});

test('a rollback', async () => {
  const found = await stopped(['fast'], withSnapshot, (scene) => scene.snapshots.rollback(MONDAY, LOCAL_ASKER, 'r'));
  expect(found).toEqual([
    ['clone: data', 'before'],
    ['rollback: data', 'before'],
    ['snapshot: folder', 'before'],
    ['snapshot: cloned', 'before'],
    ['snapshot: data', 'before'],
    ['snapshot: prepared', 'before'],
    ['change: commit', 'after'],
    ['rollback: replaced', 'after'],
    ['rollback: durable', 'after'],
    ['snapshot: commit', 'after'],
    ['snapshot: durable', 'after'],
  ]);
});

test('a rollback of a volume that has grown since', async () => {
  const found = await stopped(
    ['fast'],
    async (scene) => {
      await withSnapshot(scene);
      await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
    },
    (scene) => scene.snapshots.rollback(MONDAY, LOCAL_ASKER, null),
  );
  expect(new Set(found.map(([, state]) => state))).toEqual(new Set(['before', 'after']));
});
