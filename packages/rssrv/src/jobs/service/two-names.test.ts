// Tests orders whose volumes change their names, or whose names come to mean other volumes, between the order and its execution. The random
// lives of names-random.test.ts test schedules. Invariant: a job never reads a volume that only has the name. Rules: C6.

import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { findVolume } from '../../pools/catalogue.ts';
import type { SnapshotOrders } from '../../snapshots/snapshot-verbs.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { CopyScene, DB } from '../../testing/copy-scene.ts';
import { blocksOf, SIZE_BYTES } from '../../testing/image-scene.ts';
import type { PoolScene } from '../../testing/pool-scene.ts';
import { directory, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';
import { volumeContent, volumeIn, writeVolume } from '../../testing/volume-content.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../../testing/whole-turn.ts';

useTwoPools();

/** Renames volume db to old, and makes another volume db, with other content and for another client. */
async function replace(scene: PoolScene): Promise<void> {
  await scene.verbs.rename(DB, { name: 'old', universe: 0 }, LOCAL_ASKER, null);
  await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES, clients: ['stranger'] });
  writeVolume(scene, 'db', Buffer.alloc(SIZE_BYTES, 9));
}

/** Returns a scene with volume db, whose name gets to another volume while the triggers of the first snapshot run. */
async function replacedMeanwhile(): Promise<CopyScene> {
  const scene = await openTwoPools(directory, {});
  await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  writeVolume(scene, 'db', Buffer.alloc(SIZE_BYTES, 5));
  let isReplaced = false;
  const around = async <T>(_wanted: unknown, checkWanted: () => void, make: () => Promise<T>): Promise<T> => {
    checkWanted();
    if (!isReplaced) await replace(scene);
    isReplaced = true;
    return make();
  };
  const copies = new CopyScene(scene, { ports: { triggers: { around } } });
  await copies.jobs.load();
  return copies;
}

/** Gives volume `name` the name of another one, as in a pool that was brought from another server. */
async function asTwin(scene: PoolScene, name: string, to: string): Promise<void> {
  const { pool, manifest } = volumeIn(scene, name);
  const twin = { ...manifest, name: to };
  await scene.verbs.onDisk(pool, 10_000, (files) => files.replaceManifest(twin));
  scene.pools.put(pool, twin);
}

test('a copy is one of the volume that was named, although another volume has its name when the job begins', async () => {
  const copies = await replacedMeanwhile();
  await copies.copy('copy', { pool: 'slow' });
  await copies.run();
  expect(copies.jobs.list.map(({ state, reason }) => [state, reason])).toEqual([['done', null]]);
  expect(volumeContent(copies.scene, 'copy')[0]).toBe(5);
  expect(volumeIn(copies.scene, 'copy').manifest.clients).toBeNull();
  expect(copies.scene.picture()).not.toMatch(/^(pending )?snapshot /m);
});

test('an image gets the content and the clients of the volume that was named', async () => {
  const copies = await replacedMeanwhile();
  await copies.service.images.image({ ...DB, newUniverse: 1, pool: 'slow', limitBytes: null }, LOCAL_ASKER, WHOLE_CHANGES);
  await copies.run();
  const { manifest } = findVolume(copies.scene.verbs.catalogue, { name: 'db', universe: 1 }, LOCAL_ASKER);
  expect([manifest.clients, manifest.image?.ofId]).toEqual([null, volumeIn(copies.scene, 'old').manifest.id]);
  expect(blocksOf(directory, 'slow')).toEqual([5, 5, 5, 5]);
});

test('an image is refreshed from its volume while a volume of another pool has the name of that volume', async () => {
  const copies = new CopyScene(await openTwoPools(directory, {}));
  const { scene } = copies;
  await scene.create({ name: 'log', pool: 'slow', sizeBytes: SIZE_BYTES });
  await scene.images.image({ name: 'log', universe: 0 }, 1, LOCAL_ASKER, null);
  await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES, clients: ['stranger'] });
  writeVolume(scene, 'db', Buffer.alloc(SIZE_BYTES, 9));
  writeVolume(scene, 'log', Buffer.alloc(SIZE_BYTES, 6));
  await asTwin(scene, 'log', 'db');
  const [image] = await scene.images.refresh([{ name: 'log', universe: 1 }], LOCAL_ASKER, null);
  expect([image?.manifest.image?.ofName, image?.manifest.clients]).toEqual(['db', null]);
  expect(volumeContent(scene, 'log')[0]).toBe(6);
});

test('the snapshot of a request is one of the volume that had the name before the triggers ran', async () => {
  const scene = await openTwoPools(directory, {});
  await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  const orders = scene.snapshots.check([{ ...DB, snapshot: 'monday' }], LOCAL_ASKER, null);
  await replace(scene);
  await scene.snapshots.snapshot(orders!, LOCAL_ASKER, null, WHOLE_TURN);
  const names = (volume: string) => snapshotsOf(volumeIn(scene, volume)).list.map(({ name }) => name);
  expect([names('old'), names('db')]).toEqual([['monday'], []]);
});

test('an order for a volume that was removed is refused, although another volume has its name', async () => {
  const scene = await openTwoPools(directory, {});
  const { manifest } = await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  await expect(scene.verbs.remove({ id: manifest.id }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  // A value with an id never falls back to its name.
  await expect(scene.verbs.remove(manifest, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  expect(volumeIn(scene, 'db').manifest.id).not.toBe(manifest.id);
});

test('an order for a volume whose id two pools have is refused, and names both pools', async () => {
  const scene = await openTwoPools(directory, {});
  const { manifest } = await scene.create({ pool: 'fast' });
  scene.pools.put('slow', manifest);
  await expect(scene.verbs.set({ id: manifest.id }, { readonly: true }, LOCAL_ASKER, null)).rejects.toThrow(
    'Pools fast and slow both have volume db',
  );
});

test('work on a pool goes to the pool with its id after a reload has exchanged the names of two pools', async () => {
  const scene = await openTwoPools(directory, {});
  const [fast, slow] = scene.pools.states;
  const renamed = scene.configs.map((config) => ({ ...config, name: config.name === 'fast' ? 'slow' : 'fast' }));
  await (await scene.pools.prepare(renamed)).commit();
  const place = (pool: typeof fast) => scene.verbs.onDisk(pool!, 10_000, (files) => Promise.resolve(files.directory));
  expect([await place(fast), await place(slow)]).toEqual([fast!.path, slow!.path]);
});

test('the compiler refuses a name where an order is given', async () => {
  const scene = await openTwoPools(directory, {});
  const orders: SnapshotOrders = scene.snapshots;
  // @ts-expect-error: an order names the snapshot by ids.
  await expect(orders.remove({ ...DB, snapshot: 'monday' }, LOCAL_ASKER, null)).rejects.toThrow('No volume db');
  // @ts-expect-error: a text is no id of a volume.
  await expect(orders.remove({ id: String('db'), snapshotId: 'monday' }, LOCAL_ASKER, null)).rejects.toThrow('No volume with id db');
});
