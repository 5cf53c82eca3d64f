// Tests that the configuration in force agrees with the disk about the volumes of pools, even if a name is taken, a step fails, or a client
// uses the volume during a change. The tests use real volumes, pools and verbs, but no sessions or sockets. Rules: C3, N2, G25.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import type { Holder } from '@rsio/protocol/wire/messages';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import type { LockOutcome } from '../storage/locks/file-locks.ts';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { volumeConfigsOf } from '../pools/pool-volume.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import type { SnapshotReader } from '../volumes/volume-plan.ts';
import { Volumes } from '../volumes/volumes.ts';
import { ConfigInForce, type ConfigInForceParts } from './config-in-force.ts';
import { CurrentConfig } from './current-config.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const MIB = 1024 * 1024;
const DB = { name: 'db', universe: 0 };
const HOLDER: Holder = { node: 'big-2', address: '127.45.0.2', sinceMs: 1 };
let directory = '';
let held = new Set<string>();
/** Clients that have a snapshot attached. */
let readers: SnapshotReader[] = [];
const leaving = new Set<string>();
let incarnations: string[] = [];
/** Names of the volumes in the announcements of a changed list. */
let told: string[] = [];
/** How often the limits of all volumes were read again. */
let refreshed = 0;
let lock: LockOutcome = 'held';
/** Volumes that the only session of the test uses. */
let uses = new VolumeUses();
let scene: PoolScene;
let volumes: Volumes;
let inForce: ConfigInForce;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-force-'));
  [held, readers, incarnations, told, uses, lock] = [new Set(), [], [], [], new VolumeUses(), 'held'];
});
afterEach(async () => {
  await volumes.close();
  await scene.pools.close();
  await removeFolder(directory);
});

/** Starts a server with the pool of the test, and with these `[volume]` sections. */
async function start(sections: readonly ServerVolumeConfig[], reached?: (step: string) => void): Promise<void> {
  const nothing = (): undefined => undefined;
  const log = { info: nothing, warn: nothing, error: nothing };
  volumes = new Volumes({
    idsFile: path.join(directory, 'volumes.json'),
    memoryDirectory: path.join(directory, 'shm'),
    fileSystemOf: () => Promise.resolve('other'),
    clock: systemClock,
    log,
    syncFailedLate: nothing,
    takeLocks: async (requests) => requests.map(() => lock),
    isHeld: (id) => held.has(id),
    holdersOf: (id) => (held.has(id) ? [HOLDER] : []),
    incarnationEnded: async () => undefined,
  });
  scene = await PoolScene.open(directory, {
    clock: systemClock,
    ...(reached === undefined ? {} : { reached }),
    check: (was, now) => void inForce.checkChange(was, now),
    apply: (was, now) => inForce.applyVolume(was, now),
  });
  const names = new Set(sections.map(({ name }) => name));
  const all = [...sections, ...volumeConfigsOf(scene.pools.states).filter(({ name }) => !names.has(name))];
  const parts: unknown = {
    clock: systemClock,
    log,
    current: new CurrentConfig({ volumes: all } as unknown as RssrvConfig, systemClock),
    volumes,
    shortage: { has: () => false, poolOf: () => null },
    bridges: { of: () => null },
    bandwidth: { refresh: () => void refreshed++ },
    halts: { facts: () => null },
    holds: { holdersOf: (id: string) => (held.has(id) ? [HOLDER] : []) },
    revocations: { isLeaving: (_: string, node: string) => leaving.has(node) },
    snapshots: { readersOf: () => readers },
    sessions: { all: [{ client: HOLDER, uses }] },
    lists: { changed: (_: unknown, seenBy: readonly ServerVolumeConfig[]) => void told.push(...seenBy.map(({ name }) => name)) },
    incarnations: { start: async (id: string) => void incarnations.push(id) },
  };
  inForce = new ConfigInForce(parts as ConfigInForceParts);
  await volumes.open({ volumes: all });
}

async function restart(...sections: readonly ServerVolumeConfig[]): Promise<void> {
  await volumes.close();
  await scene.pools.close();
  await start(sections);
}

const section = (name: string): ServerVolumeConfig => volumeConfig({ name, path: path.join(directory, `${name}.img`), sizeBytes: 2 * MIB });
const served = (): string[] => volumes.served.map(({ name, path: file }) => `${name} ${path.relative(directory, file ?? '')}`);

test('a pool volume with the name of a section is changed apart from it, and a new name makes it served', async () => {
  await start([]);
  const { manifest } = await scene.create();
  await restart(section('db'));
  const data = `fast/volumes/${manifest.id}/data`;
  expect(served()).toEqual(['db db.img']);
  await expect(scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_EXISTS' });
  expect([served(), volumes.served[0]?.sizeBytes, fs.statSync(path.join(directory, data)).size]).toEqual([['db db.img'], 2 * MIB, MIB]);
  const [config] = volumeConfigsOf(scene.pools.states);
  expect(inForce.statusOf(config!)).toMatchObject({
    id: manifest.id,
    sizeBytes: null,
    reason: expect.stringContaining('rename one of them'),
  });
  await scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null);
  expect(served()).toEqual(['db db.img', `new ${data}`]);
});

test('removing a pool volume with the name of a section leaves the section served, and a held volume stays', async () => {
  await start([]);
  const { manifest } = await scene.create();
  await restart(section('db'));
  held.add(manifest.id);
  await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
  held.clear();
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  expect(served()).toEqual(['db db.img']);
});

test('a replaced file that is confirmed starts a new incarnation, so that its holder sends its writes again', async () => {
  await start([]);
  const { manifest } = await scene.create();
  const data = path.join(directory, 'fast/volumes', manifest.id, 'data');
  held.add(manifest.id);
  fs.copyFileSync(data, `${data}.copy`);
  await volumes.close();
  await scene.pools.close();
  fs.renameSync(`${data}.copy`, data);
  await start([]);
  expect(served()).toEqual([]);
  const [, stamp = ''] = /same-content=(\S+)$/.exec(volumes.failures[0]?.error.message ?? '') ?? [];
  await scene.verbs.set(DB, { sameContent: stamp }, LOCAL_ASKER, null);
  expect([served().length, incarnations]).toEqual([1, [manifest.id]]);
});

test('the status of a volume whose file was truncated says that it is not served, and what to do', async () => {
  await start([]);
  const { manifest } = await scene.create();
  const [config] = volumeConfigsOf(scene.pools.states);
  expect(inForce.statusOf(config!)).toMatchObject({ sizeBytes: MIB, reason: null });
  volumes.suspend(manifest.id, 'it is being switched');
  expect(inForce.statusOf(config!), 'for a moment').toMatchObject({ sizeBytes: MIB, reason: null });
  volumes.suspend(manifest.id, null);
  fs.truncateSync(path.join(directory, 'fast/volumes', manifest.id, 'data'), 4096);
  await volumes.cut(manifest.id);
  expect(inForce.statusOf(config!)).toMatchObject({ sizeBytes: null, reason: expect.stringContaining('was truncated to 4096 bytes') });
  // A reload still gets the size that clients use.
  expect(volumes.standing(config!).sizeBytes).toBe(MIB);
});

test('a client that begins to use the volume during a change: disk and memory stay as they were', async () => {
  let volumeId = '';
  await start([], (step) => void (step === 'change: commit' && held.add(volumeId)));
  ({
    manifest: { id: volumeId },
  } = await scene.create());
  await expect(scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
  await expect(scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD' });
  expect(served()).toEqual([`db fast/volumes/${volumeId}/data`]);
  const picture = scene.picture();
  expect(picture).toContain('"name":"db"');
  await restart();
  expect(scene.picture()).toBe(picture);
});

test('a volume that a client is just opening is in use: it is not removed, renamed or made read-only, and it grows', async () => {
  await start([]);
  const { manifest } = await scene.create();
  uses.opens(manifest.id);
  const inUse = { code: 'E_HELD', message: expect.stringContaining('big-2') as string };
  await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject(inUse);
  await expect(scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject(inUse);
  await expect(scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toMatchObject(inUse);
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  expect(volumes.served[0]?.sizeBytes).toBe(2 * MIB);
  const others = { clients: ['venus'] };
  await expect(scene.verbs.set(DB, others, LOCAL_ASKER, null)).rejects.toMatchObject(inUse);
  // The OPEN of a client that loses the volume is refused after the change.
  leaving.add('big-2');
  await scene.verbs.set(DB, others, LOCAL_ASKER, null);
  leaving.clear();
  uses.opened(manifest.id);
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  expect(served()).toEqual([]);
});

test('the same, if the change fails after its commit', async () => {
  let volumeId = '';
  let isFailing = true;
  await start([], (step) => {
    if (step !== 'change: commit' || !isFailing) return;
    isFailing = false;
    held.add(volumeId);
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  });
  ({
    manifest: { id: volumeId },
  } = await scene.create());
  const picture = scene.picture();
  await expect(scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_POOL' });
  expect([scene.picture(), volumes.served[0]?.readonly]).toEqual([picture, false]);
  await restart();
  expect(scene.picture()).toBe(picture);
});

test('what is created, grown or restored while another server process has its file open is served later, and the clients are told', async () => {
  await start([section('own')]);
  lock = 'marked';
  const { manifest } = await scene.create();
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
  await scene.verbs.restore(DB, LOCAL_ASKER, null);
  expect([served(), volumes.failures.map(({ name }) => name)]).toEqual([['own own.img'], ['db']]);
  const keys = new Set(['db@0', 'own@0', 'gone@0']);
  told = [];
  await inForce.openAgain(keys);
  expect([served(), told]).toEqual([['own own.img'], []]);
  lock = 'held';
  await inForce.openAgain(keys);
  expect([served(), told, volumes.failures]).toEqual([['own own.img', `db fast/volumes/${manifest.id}/data`], ['db'], []]);
  expect(volumes.served.map(({ sizeBytes }) => sizeBytes)).toEqual([2 * MIB, 2 * MIB]);
});

test('a volume of which a snapshot is attached is not taken away, and grows', async () => {
  await start([]);
  await scene.create();
  await restart();
  readers = [{ ...HOLDER, snapshot: 'db@monday', isCopying: false }];
  const refused = {
    code: 'E_HELD',
    message: expect.stringMatching(/snapshot db@monday is attached, and node big-2 .*rsconfig -d db@monday/),
    context: expect.objectContaining({ isPassing: false }),
  };
  await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject(refused);
  await expect(scene.verbs.rename(DB, { name: 'new', universe: 0 }, LOCAL_ASKER, null)).rejects.toMatchObject(refused);
  await expect(scene.verbs.set(DB, { clients: ['venus'] }, LOCAL_ASKER, null)).rejects.toMatchObject(refused);
  await scene.verbs.grow(DB, 2 * MIB, LOCAL_ASKER, null);
  readers = readers.map((one) => ({ ...one, isCopying: true }));
  await expect(scene.verbs.remove(DB, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_HELD', context: { isPassing: true } });
  readers = [];
  await scene.verbs.remove(DB, LOCAL_ASKER, null);
});

test('the limits of all volumes are read again if a volume gets, changes or loses limits, and otherwise not', async () => {
  await start([]);
  refreshed = 0;
  await scene.create({ name: 'other' });
  await scene.create({ name: 'db' });
  await scene.verbs.grow(DB, 3 * MIB, LOCAL_ASKER, null);
  const counts = [refreshed];
  const set = async (iops: number | null): Promise<void> => {
    await scene.verbs.set(DB, { iops }, LOCAL_ASKER, null);
    counts.push(refreshed);
  };
  await set(100);
  await set(200);
  await set(null);
  await scene.create({ name: 'limited', limits: { iops: 50, bytesPerSecond: null, burstMs: 1_000 } });
  counts.push(refreshed);
  await scene.verbs.remove({ name: 'limited', universe: 0 }, LOCAL_ASKER, null);
  expect([...counts, refreshed]).toEqual([0, 1, 2, 3, 4, 5]);
});
