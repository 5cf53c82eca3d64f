// Tests which content a follower without a common moment begins with, and which volumes are refused for that. seed-lives.test.ts tests that
// nothing of such a content stays. Rules: T11.

import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test, vi } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found } from '../../pools/catalogue.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { OfferedSource } from '../../testing/offering-peers.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { volumeIn, writeVolume } from '../../testing/volume-content.ts';
import { FollowerVerbs } from './follower-verbs.ts';

usePoolDirectory();

const SIZE = 4096;
const PEER = { name: 'oslo', pools: null };
const CARRIED = Buffer.alloc(SIZE, 7);
const source = new OfferedSource(1, ['db']);
const [first, second] = [source.moment(1_000), source.moment(2_000)];
let scene: PoolScene;
let verbs: FollowerVerbs;

const follower = (): Found => volumeIn(scene, 'db');
const carried = (name = 'carried'): Found => volumeIn(scene, name);
const seed = (from = carried()): Promise<void> => verbs.seed(follower(), from);
const prepare = (moment = first, sizeBytes = SIZE) => verbs.prepare(follower().manifest.id, { ...moment.snapshots[0]!, sizeBytes }, null);

beforeEach(async () => {
  scene = await PoolScene.open(directory, { clock: new FakeClock(), names: ['fast', 'slow'] });
  scenes.push(scene);
  verbs = new FollowerVerbs(scene.verbs);
  const order = source.order(null);
  await verbs.create(order, order.members[0]!, PEER);
  await scene.create({ name: 'carried', sizeBytes: SIZE, pool: 'fast' });
  writeVolume(scene, 'carried', CARRIED);
});

/** Gives the follower the first moment, with the content of the file of the pull. */
async function arrive(): Promise<void> {
  const { state } = await prepare();
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: SIZE }, 0);
  await verbs.commit(follower().manifest.id, first, first.snapshots[0]!, null);
}

test('a follower begins with carried content, which is compared until it is whole, also after a restart', async () => {
  await seed();
  const { file, state } = await prepare();
  expect(readFileSync(file).equals(CARRIED)).toBe(true);
  expect(state).toMatchObject({ base: null, isCompared: true, positionBytes: 0 });
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, 0);
  expect((await prepare()).state).toMatchObject({ snapshot: first.snapshots[0]!.id, isCompared: true, positionBytes: 512 });
  // The volume that was carried is not needed any more.
  await scene.verbs.remove({ name: 'carried', universe: 0 }, LOCAL_ASKER, null);
  const other = await prepare(second, 2 * SIZE);
  expect(other.state).toMatchObject({ snapshot: second.snapshots[0]!.id, isCompared: true, positionBytes: 0, sizeBytes: 2 * SIZE });
  expect(readFileSync(other.file).equals(Buffer.concat([CARRIED, Buffer.alloc(SIZE)]))).toBe(true);
});

test('an rssrv that cannot compare does not take carried content for zeros', async () => {
  await seed();
  const noted = JSON.parse(readFileSync(poolPaths.incomingState(poolPaths.volume(follower().pool.path, follower().manifest.id)), 'utf8'));
  expect(noted).toMatchObject({ version: 2 });
});

test('content that was carried again replaces what has arrived before the first moment', async () => {
  const { state } = await prepare();
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, 0);
  await seed();
  expect((await prepare()).state).toMatchObject({ isCompared: true, positionBytes: 0 });
});

test('a pull ends before it fills the pool, by the space that the pool has now', async () => {
  const { state } = await prepare();
  const arrived = (): Promise<void> => verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, SIZE);
  await arrived();
  // Another program has written to the file system since the last look.
  vi.spyOn(scene.pools, 'measure').mockImplementation(() => {
    Object.assign(follower().pool, { space: { freeBytes: SIZE - 1, totalBytes: SIZE } });
    return Promise.resolve();
  });
  await expect(arrived()).rejects.toMatchObject({ code: 'E_SPACE', message: expect.stringContaining('make room there') });
});

test('a follower that has no moment in common with its source any more begins with its newest one', async () => {
  await seed();
  await arrive();
  const { file, state } = await prepare(second);
  expect(state).toMatchObject({ base: null, isCompared: true, positionBytes: 0 });
  expect(readFileSync(file).equals(CARRIED)).toBe(true);
});

test('each pull that compares begins with a new file, of which nothing is in memory that is not on the disk', async () => {
  await seed();
  const { file, state } = await prepare();
  const inode = statSync(file).ino;
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, 0);
  const again = await prepare();
  expect(statSync(again.file).ino).not.toBe(inode);
  expect(again.state).toMatchObject({ isCompared: true, positionBytes: 512 });
  expect(readFileSync(file).equals(CARRIED)).toBe(true);
});

test('a crash before the new file has replaced the old one costs nothing', async () => {
  await seed();
  const { file, state } = await prepare();
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, 0);
  // As if the last step of `prepare` had not happened.
  renameSync(file, `${file}.new`);
  writeFileSync(file, 'old');
  expect((await prepare()).state).toMatchObject({ isCompared: true, positionBytes: 512 });
  expect(readFileSync(file).equals(CARRIED)).toBe(true);
});

test('what a larger volume has beyond the end is left out', async () => {
  await scene.create({ name: 'large', sizeBytes: 2 * SIZE, pool: 'fast' });
  writeVolume(scene, 'large', Buffer.concat([CARRIED, CARRIED]));
  await seed(carried('large'));
  expect(readFileSync((await prepare()).file).equals(CARRIED)).toBe(true);
});

test('carried content serves also for a moment that was made before the source grew', async () => {
  await seed();
  const { file, state } = await prepare(first, SIZE / 2);
  expect(state).toMatchObject({ isCompared: true, sizeBytes: SIZE / 2, positionBytes: 0 });
  expect(readFileSync(file).equals(CARRIED.subarray(0, SIZE / 2))).toBe(true);
});

test('volumes that cannot be the beginning are refused, and what has arrived stays', async () => {
  const { state } = await prepare();
  await verbs.arrived(follower().manifest.id, { ...state, positionBytes: 512 }, 0);
  await scene.create({ name: 'elsewhere', sizeBytes: SIZE, pool: 'slow' });
  await expect(verbs.seed(carried(), follower())).rejects.toThrow('carried follows no volume');
  await expect(seed(follower())).rejects.toThrow('db is a follower itself');
  await expect(seed(carried('elsewhere'))).rejects.toThrow(
    'it is in pool slow, and db in pool fast: rsadm volume move elsewhere --pool fast',
  );
  const gone = { ...carried(), manifest: { ...carried().manifest, id: '00000000-0000-4000-8000-000000000099' as const } };
  await expect(seed(gone)).rejects.toThrow();
  expect((await prepare()).state).toMatchObject({ positionBytes: 512 });
  await arrive();
  await expect(seed()).rejects.toThrow('db has a moment of its source already');
});
