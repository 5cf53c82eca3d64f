// Tests how volumes become replicas of mirrors, and ordinary volumes again: files, served volumes, refusals, and a stop at each step. A
// stop leaves either no mark, or a mark and a map in which all bits are set. A stop never leaves a mark beside a valid map of other data.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { unsealed } from '@rsio/base/testing/unsealed';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ThreadShares } from '../storage/io/thread-shares.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { findVolume } from '../pools/catalogue.ts';
import { decideOtherContent } from '../snapshots/snapshot-rules.ts';
import { decideMove } from '../jobs/moves/move-rules.ts';
import { PoolScene, type SceneOptions } from '../testing/pool-scene.ts';
import { eachStop, type Run } from '../testing/stopped-verbs.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import { descriptorDisk } from './map-disk.ts';
import { openMap, regionsOf } from './map-file.ts';
import { readMap } from './map-writer.ts';
import { ReplicaStore } from './replica-verbs.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

const MIRROR = 'a'.repeat(32);
const SIZE = 20 * MIRROR_REGION_BYTES;
const DB = { name: 'db', universe: 0 };

let parent = '';
beforeEach(() => {
  isServed = true;
  parent = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-replicas-'));
});
afterEach(() => removeFolder(parent));

/** Whether the server serves the replicas, which the scene does not know. */
let isServed = true;
const OPTIONS: SceneOptions = { clock: systemClock };

async function open(
  directory = path.join(parent, 'pools'),
  options = OPTIONS,
): Promise<{ scene: PoolScene; store: ReplicaStore; log: string[] }> {
  const scene = await PoolScene.open(directory, options);
  const log: string[] = [];
  let number = 0;
  const newIdentity = (): string => String(++number).padStart(32, '0');
  const store = new ReplicaStore(
    scene.verbs,
    newIdentity,
    (work) => work(),
    { info: (text: string) => void log.push(text) },
    { isServed: () => isServed, end: (id) => Promise.resolve(void scene.used.delete(id)) },
  );
  return { scene, store, log };
}

const identityOf = (number: number): string => String(number).padStart(32, '0');
const idOf = async (scene: PoolScene): Promise<string> => (await scene.create({ sizeBytes: SIZE })).manifest.id;
const servedBy = (scene: PoolScene) => scene.served.get(volumeKey(DB))?.pool?.replica;

/** Returns the regions of a map whose bits are not set, or the reason why the map cannot be read. All bits of such a map count as set. */
async function clearRegions(mapPath: string, identity: string): Promise<number[] | string> {
  const descriptor = await openMap({ mapPath, identity, mirror: MIRROR });
  const disk = descriptorDisk(descriptor, new ThreadShares(4), 'db');
  try {
    const { map, trouble } = await readMap(disk, identity, regionsOf(SIZE));
    const clear = Array.from({ length: regionsOf(SIZE) }, (_, region) => region).filter((region) => !map.isSet(region));
    return trouble ?? clear;
  } finally {
    await disk.close();
  }
}

/** Writes a valid map in which the bits of all regions are cleared. */
function clearMap(mapPath: string): void {
  const file = fs.openSync(mapPath, 'r+');
  fs.writeSync(file, Buffer.alloc(2), 0, 2, 4_096);
  fs.closeSync(file);
}

it('a volume becomes a replica with a map of ones, and again with another identity and map', async () => {
  const { scene, store, log } = await open();
  const id = await idOf(scene);
  expect(await store.place(id, MIRROR)).toEqual({ identity: identityOf(1) });
  const mapPath = path.join(parent, 'pools/fast/volumes', id, 'mirror.map');
  expect(servedBy(scene)).toEqual({ mirror: MIRROR, identity: identityOf(1), mapPath });
  expect(await clearRegions(mapPath, identityOf(1))).toEqual([]);
  clearMap(mapPath);
  expect(await clearRegions(mapPath, identityOf(1))).toHaveLength(16);
  expect(await store.place(id, MIRROR)).toEqual({ identity: identityOf(2) });
  expect(await clearRegions(mapPath, identityOf(2))).toEqual([]);
  expect(await clearRegions(mapPath, identityOf(1))).toContain('it is the map of other data');
  expect(log).toHaveLength(2);
  await scene.pools.close();
  const next = await open();
  expect(servedBy(next.scene)).toEqual({ mirror: MIRROR, identity: identityOf(2), mapPath });
  expect(next.scene.pools.states[0]?.findings).toEqual([]);
  await next.store.unplace(id);
  await next.store.unplace(id);
  expect(servedBy(next.scene)).toBeUndefined();
  expect(fs.existsSync(mapPath)).toBe(false);
  await next.scene.pools.close();
});

it('a replica whose map is gone becomes a plain volume again', async () => {
  const { scene, store } = await open();
  const id = await idOf(scene);
  await store.place(id, MIRROR);
  fs.rmSync(path.join(parent, 'pools/fast/volumes', id, 'mirror.map'));
  await store.unplace(id);
  expect(servedBy(scene)).toBeUndefined();
  await scene.pools.close();
});

it('a replica whose file was replaced by another one is split although a client holds it; a replica with its own file is not', async () => {
  const { scene, store } = await open();
  const id = await idOf(scene);
  await store.place(id, MIRROR);
  scene.used.add(id);
  isServed = false;
  await expect(store.split(DB, LOCAL_ASKER, null)).rejects.toThrow('Volume db is in use');
  expect(scene.used.has(id)).toBe(true);
  isServed = true;
  const data = path.join(parent, 'pools/fast/volumes', id, 'data');
  fs.copyFileSync(data, `${data}.old`);
  fs.renameSync(`${data}.old`, data);
  // A server that has the old file open serves it.
  await expect(store.split(DB, LOCAL_ASKER, null)).rejects.toThrow('Volume db is in use');
  expect(scene.used.has(id)).toBe(true);
  isServed = false;
  expect((await store.split(DB, LOCAL_ASKER, null))?.manifest.replica).toBeUndefined();
  expect(scene.used.has(id)).toBe(false);
  await scene.pools.close();
});

it('only a volume that one client may write to, in one pool, becomes a replica; nobody may use it meanwhile', async () => {
  const { scene, store } = await open(path.join(parent, 'two'), { ...OPTIONS, names: ['fast', 'slow'] });
  const create = async (name: string, changes: object): Promise<string> =>
    (await scene.create({ name, sizeBytes: SIZE, ...changes })).manifest.id;
  const cases: [string, object, string][] = [
    ['shared', { shared: true }, 'is shared: rsadm volume set shared shared=no changes that'],
    ['readonly', { readonly: true }, 'is read-only'],
    ['wide', { pools: ['fast', 'slow'] }, 'has files in several pools'],
  ];
  for (const [name, changes, sentence] of cases) await expect(store.place(await create(name, changes), MIRROR)).rejects.toThrow(sentence);
  const id = await create('db', { pool: 'fast' });
  scene.used.add(id);
  await expect(store.place(id, MIRROR)).rejects.toThrow('Volume db is in use');
  expect(servedBy(scene)).toBeUndefined();
  scene.used.clear();
  await store.place(id, MIRROR);
  await expect(store.place(id, 'b'.repeat(32))).rejects.toThrow(`is one of mirror ${MIRROR}`);
  await expect(store.place('00000000-0000-4000-8000-000000000009', MIRROR)).rejects.toThrow('only volumes of pools can be replicas');
  await scene.pools.close();
});

it('what its mirror does not do to a replica is refused, with the mirror and the remedy', async () => {
  const { scene, store } = await open();
  const id = await idOf(scene);
  await store.place(id, MIRROR);
  const { verbs } = scene;
  const sentence = new RegExp(`replica of mirror ${MIRROR}, and cannot .*rsadm volume split db`);
  await expect(verbs.remove(DB, LOCAL_ASKER, null)).rejects.toThrow(sentence);
  await expect(verbs.rename(DB, { name: 'db2', universe: 0 }, LOCAL_ASKER, null)).rejects.toThrow(sentence);
  await expect(verbs.set(DB, { shared: true }, LOCAL_ASKER, null)).rejects.toThrow(sentence);
  await expect(verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toThrow(sentence);
  await expect(verbs.set(DB, { sameContent: 'other' }, LOCAL_ASKER, null)).rejects.toThrow(sentence);
  const catalogue = { pools: scene.pools.states, configured: [] };
  const found = findVolume(catalogue, DB, LOCAL_ASKER);
  const stamp = { id: '00000000-0000-4000-8000-000000000099' as const, newId: () => '', request: null, nowMs: 0 };
  expect(() => decideOtherContent(catalogue, found, null, stamp, 'rollback')).toThrow(sentence);
  expect(() => decideMove(catalogue, found, 'slow', LOCAL_ASKER)).toThrow(sentence);
  const grows = `replica of mirror ${MIRROR}, and grows with it: rsconfig mirror grow db SIZE`;
  await expect(verbs.grow(DB, 2 * SIZE, LOCAL_ASKER, null)).rejects.toThrow(grows);
  expect((await store.split(DB, LOCAL_ASKER, 'request-1'))?.manifest.replica).toBeUndefined();
  expect(await store.split(DB, LOCAL_ASKER, 'request-1')).toBeNull();
  await verbs.remove(DB, LOCAL_ASKER, null);
  await scene.pools.close();
});

it('a replica grows with its mirror alone, and repeating that changes nothing', async () => {
  const { scene, store } = await open();
  await store.place(await idOf(scene), MIRROR);
  const { verbs } = scene;
  const grow = async (sizeBytes: number, mirror: string): Promise<number> =>
    (await verbs.grow(DB, sizeBytes, LOCAL_ASKER, null, null, mirror)).manifest.sizeBytes;
  await expect(grow(2 * SIZE, 'b'.repeat(32))).rejects.toThrow('Volume db is no replica of mirror bbb');
  expect([await grow(2 * SIZE, MIRROR), await grow(2 * SIZE, MIRROR), await grow(SIZE, MIRROR)]).toEqual([2 * SIZE, 2 * SIZE, 2 * SIZE]);
  expect(servedBy(scene)).toMatchObject({ mirror: MIRROR, identity: identityOf(1) });
  await scene.create({ name: 'plain', sizeBytes: SIZE });
  await expect(verbs.grow({ name: 'plain', universe: 0 }, 2 * SIZE, LOCAL_ASKER, null, null, MIRROR)).rejects.toThrow('is no replica');
  await scene.pools.close();
});

it('snapshots, clones and images of a replica are plain volumes', async () => {
  const { scene, store } = await open();
  const id = await idOf(scene);
  await store.place(id, MIRROR);
  const { snapshots, images } = scene;
  const moment = { mirror: MIRROR, term: 1, number: 1, id: '8a65f309-f092-4c5a-913e-b2a388712c50' };
  await snapshots.snapshot([{ ...DB, snapshot: 'now', moment }], LOCAL_ASKER, null, WHOLE_TURN);
  await snapshots.prove({ ...DB, snapshot: 'now' }, moment.id, LOCAL_ASKER);
  const clone = await snapshots.clone({ ...DB, snapshot: 'now' }, { name: 'copy', universe: 0 }, LOCAL_ASKER, null, WHOLE_TURN);
  const image = await images.image(DB, 1, LOCAL_ASKER, null);
  for (const { pool, manifest } of [clone, image]) {
    expect(manifest.replica).toBeUndefined();
    expect(fs.existsSync(path.join(pool.path, 'volumes', manifest.id, 'mirror.map'))).toBe(false);
  }
  expect(servedBy(scene)?.identity).toBe(identityOf(1));
  await scene.pools.close();
});

it('a mark that cannot be read keeps the volume from being served', async () => {
  const { scene, store } = await open();
  const id = await idOf(scene);
  await store.place(id, MIRROR);
  await scene.pools.close();
  const file = path.join(parent, 'pools/fast/volumes', id, 'volume.json');
  fs.writeFileSync(file, unsealed(fs.readFileSync(file, 'utf8')).replace(identityOf(1), 'nothing'));
  const next = await open();
  expect(next.scene.served.size).toBe(0);
  expect(next.scene.pools.states[0]?.findings.join('\n')).toContain(
    `${file} is damaged (replica.identity is not an id of 32 hexadecimal digits): restore it from a backup of the pool`,
  );
  await next.scene.pools.close();
});

describe('after a stop', () => {
  /**
   * Stops the server after each step of the verb, in one run for each step. Returns, for each step, the mark that the next start finds, and
   * the regions of the map whose bits are not set.
   */
  async function stops(
    prepare: (store: ReplicaStore, id: string) => Promise<unknown>,
    verb: (store: ReplicaStore, id: string) => Promise<unknown>,
  ) {
    const found: [step: string, identity: string | null, clear: number[] | string][] = [];
    const run: Run = async (at, reached) => {
      let isOn = false;
      const { scene, store } = await open(at, { ...OPTIONS, reached: (step) => void (isOn && reached(step)) });
      const id = await idOf(scene);
      await prepare(store, id);
      const map = path.join(at, 'fast/volumes', id, 'mirror.map');
      if (fs.existsSync(map)) clearMap(map);
      isOn = true;
      try {
        await verb(store, id);
      } finally {
        await scene.pools.close();
      }
    };
    await eachStop(run, async ({ step, at }) => {
      const next = await open(at);
      const [id = ''] = fs.readdirSync(path.join(at, 'fast/volumes'));
      const mark = servedBy(next.scene);
      expect(next.scene.pools.states[0]?.findings).toEqual([]);
      const files = fs.readdirSync(path.join(at, 'fast/volumes', id)).toSorted();
      expect(files).toEqual(['data', ...(mark === undefined ? [] : ['mirror.map']), 'volume.json']);
      found.push([step, mark?.identity ?? null, mark === undefined ? 'none' : await clearRegions(mark.mapPath, mark.identity)]);
      await next.scene.pools.close();
    });
    return found;
  }
  const nothing = async (): Promise<void> => undefined;
  const place = (store: ReplicaStore, id: string): Promise<unknown> => store.place(id, MIRROR);
  const cleared = Array.from({ length: 16 }, (_, region) => region);

  it('of a first place, there is no mark or a whole replica', async () => {
    expect(await stops(nothing, place)).toEqual([
      ['place: written map', null, 'none'],
      ['place: map', null, 'none'],
      ['place: durable map', null, 'none'],
      ['change: commit', identityOf(1), []],
    ]);
  });

  it('of another place, there is the replica of before or the new one, and its map is no longer that of before', async () => {
    const other = `it is the map of other data (${identityOf(2)})`;
    expect(await stops(place, place)).toEqual([
      ['place: written map', identityOf(1), cleared],
      ['place: map', identityOf(1), other],
      ['place: durable map', identityOf(1), other],
      ['change: commit', identityOf(2), []],
    ]);
  });

  it('of the end of a replica, there is the replica or none', async () => {
    expect(await stops(place, (store, id) => store.unplace(id))).toEqual([
      ['change: commit', null, 'none'],
      ['unplace: map', null, 'none'],
    ]);
  });
});
