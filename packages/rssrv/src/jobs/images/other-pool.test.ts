// Tests images that are not in the pools of their volumes. After a stop of the server at each step on disk, the image has its old or its
// new content. The next start finishes the job, and no temporary file remains. Other tests check that only differences are copied, and
// cover holders, cancelled jobs and lost bases. The tests run on any file system, because a stand-in compares contents instead of extents.
// Rules: G31.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Asker, LOCAL_ASKER } from '../../pools/asker.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { eachStop, isBefore, type Run, type Stop } from '../../testing/stopped-verbs.ts';
import { WHOLE_CHANGES } from '../../testing/whole-turn.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { CopyScene, DB } from '../../testing/copy-scene.ts';
import { again, BLOCK_BYTES, blocksOf, fileOf, finishedAfter, leftIn, SIZE_BYTES, write } from '../../testing/image-scene.ts';
import type { SceneOptions } from '../../testing/pool-scene.ts';
import { directory, openCopies, useTwoPools } from '../../testing/two-pools.ts';

const IMAGE = { name: 'db', universe: 1 };

useTwoPools();

function image({ scene }: CopyScene): Manifest {
  return [...scene.pools.states[1]!.volumes.values()][0]!;
}

const make = (copies: CopyScene) =>
  copies.service.images.image({ ...DB, newUniverse: 1, pool: 'slow', limitBytes: null }, LOCAL_ASKER, WHOLE_CHANGES);
const refresh = (copies: CopyScene) => copies.service.images.refresh([IMAGE], null, LOCAL_ASKER, WHOLE_CHANGES);

/**
 * Makes an image in the other pool, of a volume whose blocks are filled with [7, 0, 8, 0]. During the copy, a client writes block 1 of the
 * volume.
 */
async function withImage(at: string, options: Partial<SceneOptions> = {}): Promise<CopyScene> {
  let copies: CopyScene | null = null;
  let isOver = false;
  copies = await openCopies(at, options, { copying: () => void (isOver || write(copies!, 0, 1, 99)) });
  await copies.scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  write(copies, 0, 0, 7);
  write(copies, 0, 2, 8);
  await make(copies);
  await copies.run();
  isOver = true;
  return copies;
}

test('an image in another pool has the content of one moment, and a refresh copies what differs', async () => {
  let copies = await withImage(directory);
  expect(blocksOf(directory, 'slow')).toEqual([7, 0, 8, 0]);
  expect(copies.scene.served.has('db@1')).toBe(true);
  expect([image(copies).universe, image(copies).image?.base === undefined]).toEqual([1, false]);
  write(copies, 1, 3, 66);
  copies = await again(copies);
  await refresh(copies);
  await copies.run();
  // Block 1 of the volume has changed since the first moment. The refresh has undone the client's write to the image.
  expect(blocksOf(directory, 'slow')).toEqual([7, 99, 8, 0]);
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'done', doneBytes: BLOCK_BYTES });
  const [fast] = copies.scene.pools.states;
  const [db] = fast!.volumes.values();
  expect(snapshotsOf({ pool: fast!, manifest: db! }).list.map(({ id }) => id)).toEqual([image(copies).image!.base!.snapshot]);
  expect([leftIn(directory), copies.scene.picture().includes('finding')]).toEqual([[], false]);
  await copies.scene.pools.close();
});

test('after a stop at each step of a new image, there is none or the whole of it, and the next start finishes it', async () => {
  const run: Run = async (at, reached) => (await withImage(at, { reached })).scene.pools.close();
  const check = async ({ step, at }: Stop): Promise<void> => {
    const found = blocksOf(at, 'slow');
    expect([step, found === null || found[0] === 7]).toEqual([step, true]);
    const after = await openCopies(at);
    await after.run();
    expect(after.scene.picture(), step).not.toContain('finding');
    await after.scene.pools.close();
    // If the server stopped before it had saved the job, no job exists now.
    const [job] = after.jobs.list;
    expect([step, job?.state ?? 'done', leftIn(at)]).toEqual([step, 'done', []]);
    if (job !== undefined) expect([step, blocksOf(at, 'slow')![0], blocksOf(at, 'slow')![2]]).toEqual([step, 7, 8]);
  };
  expect(await eachStop(run, check, { isLeftOut: isBefore })).toContain('move: kept');
});

test('after a stop at each step of a refresh, the image has its old content or the new one, and the next start finishes it', async () => {
  const seen = new Set<string>();
  const run: Run = async (at, reached) => {
    await (await withImage(at)).scene.pools.close();
    const copies = await openCopies(at, { reached });
    await refresh(copies);
    await copies.run();
    await copies.scene.pools.close();
  };
  await eachStop(run, async (stop) => {
    const { found, served } = await finishedAfter(stop, 'slow', [7, 99, 8, 0]);
    expect([stop.step, found]).toEqual([stop.step, expect.stringMatching(/^\[7,(0|99),8,0\]$/)]);
    expect([stop.step, served.get('db@1')?.pool?.trouble]).toEqual([stop.step, undefined]);
    seen.add(found);
  });
  expect(seen).toEqual(new Set(['[7,0,8,0]', '[7,99,8,0]']));
});

test('an image has the size that its volume had at its moment, also if the volume grows before it is copied, and a refresh the new one', async () => {
  let copies = await openCopies();
  await copies.scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  write(copies, 0, 0, 7);
  await make(copies);
  await copies.scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null);
  await copies.run();
  const sizes = (): number[] => [image(copies).sizeBytes, fs.statSync(fileOf(copies, 1)).size];
  expect([blocksOf(directory, 'slow'), sizes()]).toEqual([
    [7, 0, 0, 0],
    [SIZE_BYTES, SIZE_BYTES],
  ]);
  copies = await again(copies);
  await refresh(copies);
  await copies.run();
  expect(sizes()).toEqual([2 * SIZE_BYTES, 2 * SIZE_BYTES]);
  await copies.scene.pools.close();
});

test('a refresh is refused while a client holds the image, and its job waits for one that comes later', async () => {
  let copies = await withImage(directory);
  copies = await again(copies);
  copies.scene.used.add(image(copies).id);
  await expect(refresh(copies)).rejects.toMatchObject({ code: 'E_HELD' });
  copies.scene.used.clear();
  await refresh(copies);
  copies.scene.used.add(image(copies).id);
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'waiting', reason: 'Volume db is in use' });
  expect([blocksOf(directory, 'slow'), copies.scene.served.has('db@1')]).toEqual([[7, 0, 8, 0], true]);
  copies = await again(copies);
  await copies.run();
  expect([copies.jobs.list.at(-1)!.state, blocksOf(directory, 'slow')]).toEqual(['done', [7, 99, 8, 0]]);
  await copies.scene.pools.close();
});

test('a cancelled refresh leaves the image as it was, and neither a copy nor a snapshot of its own', async () => {
  let copies = await withImage(directory);
  const base = image(copies).image!.base;
  copies = await again(copies, {}, { copying: () => void copies.jobs.cancel('2').catch(() => undefined) });
  await refresh(copies);
  await copies.run();
  expect([copies.jobs.find('2').state, blocksOf(directory, 'slow'), leftIn(directory)]).toEqual(['cancelled', [7, 0, 8, 0], []]);
  const [fast] = copies.scene.pools.states;
  expect(snapshotsOf({ pool: fast!, manifest: [...fast!.volumes.values()][0]! }).list.map(({ id }) => id)).toEqual([base!.snapshot]);
  await copies.scene.pools.close();
});

test.each(['snapshot', 'file'])('without the base (%s), everything is copied, and the volume that has grown, too', async (lost) => {
  let copies = await withImage(directory);
  const [fast] = copies.scene.pools.states;
  const [db] = fast!.volumes.values();
  if (lost === 'snapshot') {
    const [record] = snapshotsOf({ pool: fast!, manifest: db! }).list;
    await copies.scene.snapshots.remove({ ...DB, snapshot: record!.name }, LOCAL_ASKER, null);
  } else {
    const file = path.join(path.dirname(fileOf(copies, 1)), 'base');
    // Another file replaces `base`, as after a restore of the pool.
    fs.copyFileSync(file, `${file}2`);
    fs.renameSync(`${file}2`, file);
  }
  await copies.scene.verbs.grow(DB, 2 * SIZE_BYTES, LOCAL_ASKER, null);
  write(copies, 1, 3, 66);
  copies = await again(copies);
  await refresh(copies);
  await copies.run();
  expect(blocksOf(directory, 'slow')).toEqual([7, 99, 8, 0]);
  expect(fs.statSync(fileOf(copies, 1)).size).toBe(2 * SIZE_BYTES);
  expect(copies.jobs.list.at(-1)!.doneBytes).toBe(3 * BLOCK_BYTES);
  await copies.scene.pools.close();
});

test('a split image keeps nothing for a refresh, and a job that refreshes it meanwhile fails', async () => {
  let copies = await withImage(directory);
  copies = await again(copies);
  await refresh(copies);
  // The job has not run yet.
  await copies.scene.images.split(IMAGE, LOCAL_ASKER, null);
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({ state: 'failed', reason: expect.stringMatching(/^Volume db@1 is no image/) });
  expect(fs.readdirSync(path.dirname(fileOf(copies, 1))).toSorted()).toEqual(['data', 'volume.json']);
  expect([blocksOf(directory, 'slow'), leftIn(directory)]).toEqual([[7, 0, 8, 0], []]);
  await copies.scene.pools.close();
});

test('two images of one volume are refreshed one after the other', async () => {
  const copies = await again(await withImage(directory));
  await copies.service.images.image({ ...DB, newUniverse: 2, pool: 'slow', limitBytes: null }, LOCAL_ASKER, WHOLE_CHANGES);
  await copies.run();
  const both = copies.service.images.refresh([IMAGE, { ...IMAGE, universe: 2 }], null, LOCAL_ASKER, WHOLE_CHANGES);
  await expect(both).rejects.toMatchObject({
    code: 'E_USAGE',
    message: 'Two of these images, in other pools, are of volume db: refresh them one after the other',
  });
  await copies.scene.pools.close();
});

test('an image that was removed while it was to be refreshed is not made again', async () => {
  let copies = await withImage(directory);
  copies = await again(copies);
  await refresh(copies);
  // The job has not run yet.
  await copies.scene.verbs.remove(IMAGE, LOCAL_ASKER, null);
  await copies.run();
  expect(copies.jobs.list.at(-1)).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/^Image db@1 is no longer in pool slow/),
  });
  expect([blocksOf(directory, 'slow'), fs.readdirSync(path.join(directory, 'slow', 'moving'))]).toEqual([null, []]);
  await copies.scene.pools.close();
  const after = await openCopies();
  expect(after.scene.picture()).not.toContain('finding');
  await after.scene.verbs.restore(IMAGE, LOCAL_ASKER, null);
  await refresh(after);
  await after.run();
  expect(blocksOf(directory, 'slow')).toEqual([7, 99, 8, 0]);
  expect(after.jobs.list.at(-1)!.doneBytes).toBe(BLOCK_BYTES);
  await after.scene.pools.close();
});

test('several images are refreshed all or none, if a job of one of them cannot begin', async () => {
  let copies = await withImage(directory);
  await copies.scene.create({ name: 'log', pool: 'fast', sizeBytes: SIZE_BYTES });
  copies = await again(copies);
  await copies.service.images.image(
    { name: 'log', universe: 0, newUniverse: 1, pool: 'slow', limitBytes: null },
    LOCAL_ASKER,
    WHOLE_CHANGES,
  );
  await copies.run();
  copies = await again(copies);
  const orders = copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
  const copy = { name: 'log', universe: 0, snapshot: null, newName: 'new', newUniverse: 0, pool: 'slow', limitBytes: null, request: null };
  await orders['volume-copy'](copy);
  const both = [IMAGE, { name: 'log', universe: 1 }];
  await expect(copies.service.images.refresh(both, null, LOCAL_ASKER, WHOLE_CHANGES)).rejects.toMatchObject({ code: 'E_BUSY' });
  await copies.run();
  expect(copies.jobs.list.slice(2).map(({ kind, name, state }) => [kind, name, state])).toEqual([
    ['copy', 'log', 'done'],
    ['copy', 'db', 'cancelled'],
  ]);
  await copies.scene.pools.close();
});

// Regression: if one job of a group refresh failed, the images had two moments, and no message said so.
test.each(['fails', 'is cancelled'])(
  'several images are refreshed, and a job %s: it is said which images have another moment now',
  async (how) => {
    let copies = await withImage(directory);
    await copies.scene.create({ name: 'log', pool: 'fast', sizeBytes: SIZE_BYTES });
    copies = await again(copies);
    await copies.service.images.image(
      { name: 'log', universe: 0, newUniverse: 1, pool: 'slow', limitBytes: null },
      LOCAL_ASKER,
      WHOLE_CHANGES,
    );
    await copies.run();
    copies = await again(copies);
    const jobs = await copies.service.images.refresh([IMAGE, { name: 'log', universe: 1 }], null, LOCAL_ASKER, WHOLE_CHANGES);
    if (how === 'fails') await copies.scene.images.split(IMAGE, LOCAL_ASKER, null);
    else await copies.jobs.cancel(jobs![0]!.id);
    await copies.run();
    const half = 'image db@1 keeps its moment, and of the same order log@1 has the new one or will have it: refresh all of them again';
    const [first, second] = jobs!.map(({ id }) => copies.jobs.find(id));
    expect([first!.state, second!.state]).toEqual([how === 'fails' ? 'failed' : 'cancelled', 'done']);
    expect(first!.reason).toContain(half);
    expect(copies.logged.join()).toContain(half);
    await copies.scene.pools.close();
  },
);

test('a client learns neither the names of other pools nor of volumes that it may not attach', async () => {
  const copies = await withImage(directory);
  const asker = new Asker('web', { role: 'manage', pools: ['fast'], limitBytes: null });
  const image = (name: string, pool: string) =>
    copies.service.images.image({ name, universe: 0, newUniverse: 2, pool, limitBytes: null }, asker, WHOLE_CHANGES);
  for (const pool of ['none', 'slow']) {
    await expect(image('db', pool)).rejects.toMatchObject({ code: 'E_RIGHTS' });
    await expect(copies.copy('new', { pool }, asker)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  }
  await copies.scene.create({ name: 'secret', pool: 'fast', sizeBytes: SIZE_BYTES, clients: ['big-1'] });
  for (const pool of ['none', 'fast']) await expect(image('secret', pool)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  await copies.scene.pools.close();
});
