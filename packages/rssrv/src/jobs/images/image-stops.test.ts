// Stops the server after each step of each change of images. The next start finds either the whole change or no change, with the right
// content in each file, and deletes unfinished files. Images that are refreshed to one moment change together, even in two pools. Rules:
// G31.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DB } from '../../testing/pool-directory.ts';
import type { PoolScene } from '../../testing/pool-scene.ts';
import { stopped } from '../../testing/stopped-verbs.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';

const IMAGE = { name: 'db', universe: 1 };
const SIZE_BYTES = 65_536;

function fill(scene: PoolScene, name: string, value: number, universe = 0): void {
  for (const { path: pool, volumes } of scene.pools.states)
    for (const one of volumes.values())
      if (one.name === name && one.universe === universe)
        fs.writeFileSync(path.join(pool, 'volumes', one.id, 'data'), Buffer.alloc(one.sizeBytes, value));
}

async function withImage(scene: PoolScene, name = 'db', pool = 'fast'): Promise<void> {
  await scene.create({ name, pool, sizeBytes: SIZE_BYTES });
  fill(scene, name, 1);
  await scene.images.image({ name, universe: 0 }, 1, LOCAL_ASKER, null);
  fill(scene, name, 2);
  fill(scene, name, 3, 1);
}

test('a new image', async () => {
  const found = await stopped(
    ['fast'],
    async (scene) => {
      await scene.create({ sizeBytes: SIZE_BYTES });
      fill(scene, 'db', 1);
    },
    (scene) => scene.images.image(DB, 1, LOCAL_ASKER, 'r'),
  );
  expect(found).toEqual([
    ['create: folder', 'before'],
    ['copy: data', 'before'],
    ['create: manifest', 'before'],
    ['create: commit', 'after'],
    ['create: durable', 'after'],
  ]);
});

test('a refresh', async () => {
  const found = await stopped(
    ['fast'],
    (scene) => withImage(scene),
    (scene) => scene.images.refresh([IMAGE], LOCAL_ASKER, 'r'),
  );
  expect(found).toEqual([
    ['copy: data', 'before'],
    ['refresh: data', 'before'],
    ['change: commit', 'after'],
    ['refresh: replaced', 'after'],
    ['refresh: durable', 'after'],
  ]);
});

test('a refresh after the volume has grown', async () => {
  const found = await stopped(
    ['fast'],
    async (scene) => {
      await withImage(scene);
      await scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null);
    },
    (scene) => scene.images.refresh([IMAGE], LOCAL_ASKER, null),
  );
  expect(new Set(found.map(([, state]) => state))).toEqual(new Set(['before', 'after']));
});

test('a refresh of three images in two pools at one moment', async () => {
  const names = ['db', 'log', 'index'];
  const found = await stopped(
    ['fast', 'slow'],
    async (scene) => {
      for (const [index, name] of names.entries()) await withImage(scene, name, index === 1 ? 'slow' : 'fast');
    },
    (scene) =>
      scene.images.refresh(
        names.map((name) => ({ name, universe: 1 })),
        LOCAL_ASKER,
        'r',
      ),
  );
  const states = found.map(([, state]) => state);
  const first = states.indexOf('after');
  expect(states).toEqual([...new Array<string>(first).fill('before'), ...new Array<string>(states.length - first).fill('after')]);
  // Before the commit, each new file takes two steps, and each prepared image takes one step. After the commit, the first image takes two
  // steps, and each other image takes three.
  expect([first, states.length]).toEqual([8, 17]);
});

test('a volume that is restored from its image', async () => {
  const found = await stopped(
    ['fast'],
    (scene) => withImage(scene),
    (scene) => scene.images.restore(DB, 1, LOCAL_ASKER, 'r'),
  );
  const states = found.map(([, state]) => state);
  expect(found[states.indexOf('after')]![0]).toBe('change: commit');
  expect(states).toEqual(states.toSorted((a, b) => (a === b ? 0 : a === 'before' ? -1 : 1)));
  expect(new Set(states)).toEqual(new Set(['before', 'after']));
});

test('a split', async () => {
  const found = await stopped(
    ['fast'],
    (scene) => withImage(scene),
    (scene) => scene.images.split(IMAGE, LOCAL_ASKER, null),
  );
  expect(found).toEqual([['change: commit', 'after']]);
});
