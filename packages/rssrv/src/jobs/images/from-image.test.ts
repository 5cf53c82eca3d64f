// Tests volumes that get the content of an image in another pool. After a stop of the server at a step on disk, the volume has either its
// old content or the content of the image. The next start finishes the job, and no temporary file remains. Other tests check which ranges
// are copied, holders, and volumes that have grown. The tests run on any file system, because a stand-in compares contents instead of
// extents. Rules: G31.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { snapshotPaths } from '../../pools/snapshots/snapshot-record.ts';
import type { JobServicePorts } from '../service/job-service.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { CopyScene, DB } from '../../testing/copy-scene.ts';
import { again, BLOCK_BYTES, blocksIn, blocksOf, finishedAfter, leftIn, SIZE_BYTES, write } from '../../testing/image-scene.ts';
import { eachStop, type Run, type Stop } from '../../testing/stopped-verbs.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../../testing/whole-turn.ts';
import { directory, openCopies, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';

/**
 * Steps at which these tests stop the server. The job has further steps, which make and remove a snapshot; other tests stop the server at
 * those steps.
 */
const STEPS = new Set([
  ...['move: begun', 'restore: data', 'snapshot: prepared', 'change: commit', 'rollback: replaced', 'snapshot: commit'],
  ...['move: discarded', 'snapshot removal: commit'],
]);

useTwoPools();

const restore = (copies: CopyScene) => copies.service.images.restore(DB, 1, null, LOCAL_ASKER, WHOLE_CHANGES);

/**
 * Returns a scene in which the blocks of the volume are filled with [7, 99, 8, 0], and those of its image with [7, 0, 8, 66]. When the
 * image was made, its blocks were filled with [7, 0, 8, 0].
 */
async function withImage(at: string): Promise<CopyScene> {
  const copies = await openCopies(at);
  await copies.scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  write(copies, 0, 0, 7);
  write(copies, 0, 2, 8);
  await copies.service.images.image({ ...DB, newUniverse: 1, pool: 'slow', limitBytes: null }, LOCAL_ASKER, WHOLE_CHANGES);
  await copies.run();
  write(copies, 0, 1, 99);
  write(copies, 1, 3, 66);
  return again(copies);
}

test('a volume gets the content of its image, of which only what clients have written to the image is copied', async () => {
  const copies = await withImage(directory);
  expect(await restore(copies)).toMatchObject({ state: 'waiting', from: 'slow', to: 'fast', newName: 'db' });
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'done', doneBytes: BLOCK_BYTES });
  expect(blocksOf(directory, 'fast')).toEqual([7, 0, 8, 66]);
  const [fast, slow] = copies.scene.pools.states;
  const [manifest] = fast!.volumes.values();
  const kept = snapshotsOf({ pool: fast!, manifest: manifest! }).list.find(({ name }) => name.startsWith('before-restore-'))!;
  const folder = path.join(directory, 'fast', 'volumes', manifest!.id);
  expect(blocksIn(snapshotPaths.data(folder, kept.name))).toEqual([7, 99, 8, 0]);
  // The job has removed the snapshot that it had made of the image.
  expect([...slow!.snapshots.values()].flatMap(({ list }) => list)).toEqual([]);
  expect([leftIn(directory), copies.scene.served.has('db@0'), copies.scene.picture().includes('finding')]).toEqual([[], true, false]);
  await copies.scene.pools.close();
});

test('a file that another refresh has put beside the image meanwhile is not compared: the copy begins again', async () => {
  await (await withImage(directory)).scene.pools.close();
  const base = path.join(directory, 'slow', 'volumes', fs.readdirSync(path.join(directory, 'slow', 'volumes'))[0]!, 'base');
  const data = path.join(path.dirname(base), 'data');
  const copies = await openCopies(directory, {
    reached: (step) => {
      if (step !== 'move: begun' || fs.existsSync(`${base}.old`)) return;
      fs.renameSync(base, `${base}.old`);
      fs.copyFileSync(data, base);
    },
  });
  await restore(copies);
  await copies.run();
  expect(blocksOf(directory, 'fast')).toEqual([7, 99, 8, 0]);
  await (await again(copies)).run();
  expect(blocksOf(directory, 'fast')).toEqual([7, 0, 8, 66]);
});

test('after a stop at each step, the volume has its old content or that of the image, and the next start finishes it', async () => {
  const seen = new Set<string>();
  const run: Run = async (at, reached) => {
    await (await withImage(at)).scene.pools.close();
    const copies = await openCopies(at, { reached });
    await restore(copies);
    await copies.run();
    await copies.scene.pools.close();
  };
  const check = async (stop: Stop): Promise<void> => {
    const { found, states, isAsked } = await finishedAfter(stop, 'fast', [7, 0, 8, 66]);
    expect([stop.step, found]).toEqual([stop.step, expect.stringMatching(/^\[7,(99,8,0|0,8,66)\]$/)]);
    seen.add(found);
    const kept = [...states[0]!.snapshots.values()][0]!.list.filter(({ name }) => name.startsWith('before-restore-'));
    expect([stop.step, kept.length]).toEqual([stop.step, isAsked ? 1 : 0]);
  };
  const isLeftOut = (step: string, index: number, all: readonly string[]): boolean => !STEPS.has(step) || all.includes(step, index + 1);
  expect(await eachStop(run, check, { isLeftOut })).toEqual(expect.arrayContaining([...STEPS]));
  expect(seen).toEqual(new Set(['[7,99,8,0]', '[7,0,8,66]']));
});

test('without what both pools have, everything is copied', async () => {
  let copies = await withImage(directory);
  const [fast] = copies.scene.pools.states;
  const { name } = [...fast!.snapshots.values()][0]!.list[0]!;
  await copies.scene.snapshots.remove({ ...DB, snapshot: name }, LOCAL_ASKER, null);
  copies = await again(copies);
  await restore(copies);
  await copies.run();
  expect([blocksOf(directory, 'fast'), copies.jobs.list.at(-1)!.doneBytes]).toEqual([[7, 0, 8, 66], 3 * BLOCK_BYTES]);
  await copies.scene.pools.close();
});

test('a volume that has grown keeps its size, and the rest is zeros', async () => {
  let copies = await withImage(directory);
  await copies.scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null);
  write(copies, 0, 20, 5);
  copies = await again(copies);
  await restore(copies);
  await copies.run();
  const [manifest] = copies.scene.pools.states[0]!.volumes.values();
  const content = fs.readFileSync(path.join(directory, 'fast', 'volumes', manifest!.id, 'data'));
  expect([blocksOf(directory, 'fast'), manifest!.sizeBytes, content.length, content[20 * BLOCK_BYTES]]).toEqual([
    [7, 0, 8, 66],
    2 * SIZE_BYTES,
    2 * SIZE_BYTES,
    0,
  ]);
  await copies.scene.pools.close();
});

// Regression: the volume had its new size but a file of the old size, so the server no longer served the volume.
test('a volume that grows while it is restored is served, gets the content of its image, and keeps its size', async () => {
  let copies = await withImage(directory);
  await copies.scene.pools.close();
  const scene = await openTwoPools(directory, {});
  let isGrown = false;
  const exclusive: JobServicePorts['exclusive'] = async (change, what) => {
    if (what.includes('is being restored') && !isGrown) {
      isGrown = true;
      await scene.verbs.grow(DB, 3 * SIZE_BYTES, LOCAL_ASKER, null);
    }
    return change(WHOLE_TURN);
  };
  copies = new CopyScene(scene, { ports: { exclusive } });
  await copies.jobs.load();
  await restore(copies);
  await copies.run();
  expect([copies.scene.served.get('db@0')?.sizeBytes, copies.scene.picture().includes('finding')]).toEqual([3 * SIZE_BYTES, false]);
  copies = await again(copies);
  await copies.run();
  const [manifest] = copies.scene.pools.states[0]!.volumes.values();
  const content = fs.readFileSync(path.join(directory, 'fast', 'volumes', manifest!.id, 'data'));
  expect([blocksOf(directory, 'fast'), content[20 * BLOCK_BYTES], content.length]).toEqual([[7, 0, 8, 66], 0, 3 * SIZE_BYTES]);
  expect([copies.jobs.list.at(-1)?.state, copies.scene.picture().includes('finding'), leftIn(directory)]).toEqual(['done', false, []]);
  await copies.scene.pools.close();
});

test('a volume that a client holds is not restored, also if the client came after the job had begun', async () => {
  let copies = await withImage(directory);
  const { id } = [...copies.scene.pools.states[0]!.volumes.values()][0]!;
  copies.scene.used.add(id);
  await expect(restore(copies)).rejects.toMatchObject({ code: 'E_HELD' });
  copies.scene.used.clear();
  await restore(copies);
  copies.scene.used.add(id);
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'failed', reason: 'Volume db is in use' });
  expect([blocksOf(directory, 'fast'), leftIn(directory), copies.scene.served.has('db@0')]).toEqual([[7, 99, 8, 0], [], true]);
  copies = await again(copies);
  await restore(copies);
  await copies.run();
  expect(blocksOf(directory, 'fast')).toEqual([7, 0, 8, 66]);
  await copies.scene.pools.close();
});

test('a relation that ends before the job does ends the job, and the volume is as before', async () => {
  const copies = await withImage(directory);
  await restore(copies);
  await copies.scene.images.split({ name: 'db', universe: 1 }, LOCAL_ASKER, null);
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'failed', reason: 'db@1 is no image of volume db any more' });
  expect([blocksOf(directory, 'fast'), leftIn(directory)]).toEqual([[7, 99, 8, 0], []]);
  await copies.scene.pools.close();
});
