// Tests copies of volumes over several pools, and of their snapshots, to new volumes of one file. The tests check that a copy has the
// content of one moment, and cover growth, a stop of the server after each step, an absent pool, and refusals. The tests run on any file
// system, because a stand-in compares contents instead of extents.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { type CopyHooks, CopyScene, DB } from '../../testing/copy-scene.ts';
import type { SceneOptions } from '../../testing/pool-scene.ts';
import { directory, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';
import { volumeContent, volumeIn, writeVolume } from '../../testing/volume-content.ts';
import { eachStop, isBefore, type Stop, whileAway } from '../../testing/stopped-verbs.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';

const KIB = 1024;
const THREE = { names: ['a', 'b', 'c'] };
const STRIPE = { pools: ['a', 'b'], chunkBytes: 4 * KIB, sizeBytes: 36 * KIB };
const CONCAT = { pools: ['a', 'b'], sizeBytes: 36 * KIB };

useTwoPools();

async function open(at = directory, options: Partial<SceneOptions> = {}, hooks: CopyHooks = {}): Promise<CopyScene> {
  const copies = new CopyScene(await openTwoPools(at, { ...THREE, ...options }), hooks);
  await copies.jobs.load();
  return copies;
}

function content(seed: number): Buffer {
  return Buffer.concat(Array.from({ length: 9 }, (_, block) => Buffer.alloc(4 * KIB, (seed * 31 + block) % 251)));
}

test.each([
  ['stripe', STRIPE],
  ['concat', CONCAT],
])('a copy of a %s is of one moment, and has one file in a pool that has none of it', async (_kind, request) => {
  let copies: CopyScene | null = null;
  copies = await open(directory, {}, { copying: () => writeVolume(copies!.scene, 'db', content(9)) });
  await copies.scene.create(request);
  writeVolume(copies.scene, 'db', content(1));
  await copies.copy('new');
  await copies.run();
  expect(copies.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(volumeIn(copies.scene, 'new')).toMatchObject({
    pool: { name: 'c' },
    manifest: { layout: { kind: 'simple' }, sizeBytes: 36 * KIB },
  });
  expect(volumeContent(copies.scene, 'new').equals(content(1))).toBe(true);
  expect(volumeContent(copies.scene, 'db').equals(content(9))).toBe(true);
  expect(copies.scene.picture()).not.toMatch(/^(finding|part new|pending snapshot|snapshot) /m);
});

test('a copy of a snapshot is of its moment, also after its volume has grown', async () => {
  const copies = await open();
  await copies.scene.create(CONCAT);
  writeVolume(copies.scene, 'db', content(1));
  await copies.scene.snapshots.snapshot([{ ...DB, snapshot: 'monday' }], LOCAL_ASKER, null, WHOLE_TURN);
  await copies.scene.verbs.grow(DB, 40 * KIB, LOCAL_ASKER, null, 'c');
  writeVolume(copies.scene, 'db', Buffer.concat([content(2), Buffer.alloc(4 * KIB, 7)]));
  await copies.copy('old', { snapshot: 'monday', pool: 'b' });
  await copies.run();
  const later = new CopyScene(copies.scene);
  await later.jobs.load();
  await later.copy('new');
  await later.run();
  expect(volumeContent(copies.scene, 'old').equals(content(1))).toBe(true);
  expect(volumeContent(copies.scene, 'new').equals(Buffer.concat([content(2), Buffer.alloc(4 * KIB, 7)]))).toBe(true);
});

async function wholeCopy(at: string, reached?: (step: string) => void): Promise<void> {
  const copies = await open(at, reached === undefined ? {} : { reached });
  await copies.scene.create(STRIPE);
  writeVolume(copies.scene, 'db', content(1));
  await copies.copy('new');
  await copies.run();
  await copies.scene.pools.close();
}

test('after a stop at each step, the next start finishes the copy, also if a pool comes later', async () => {
  const check = async ({ step, at }: Stop): Promise<void> => {
    if (fs.existsSync(path.join(at, 'jobs.json')))
      await whileAway(at, 'b', async () => {
        const without = await open(at, { absent: ['b'] });
        await without.run();
        await without.scene.pools.close();
      });
    const again = await open(at);
    await again.run();
    const [job] = again.jobs.list;
    if (job !== undefined) {
      expect([step, job.state, job.reason]).toEqual([step, 'done', null]);
      expect(again.scene.picture(), step).not.toMatch(/^(finding|part new|pending snapshot|snapshot) /m);
      expect(volumeContent(again.scene, 'new').equals(content(1)), step).toBe(true);
    }
    await again.scene.pools.close();
  };
  const steps = await eachStop(wholeCopy, check, { isLeftOut: isBefore });
  for (const step of ['part: durable', 'snapshot: commit', 'move: commit', 'snapshot removal: commit']) expect(steps).toContain(step);
});

test('a copy to a file is refused, with the way around', async () => {
  const copies = await open();
  await copies.scene.create(STRIPE);
  await expect(copies.export('/tmp/db.raw')).rejects.toThrow(/several files \(stripe\).*volume copy db NEW --pool P/);
});
