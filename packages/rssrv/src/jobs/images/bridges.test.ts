// Tests READs that an image in another pool may answer. An image answers only in ranges where the volume has not changed since the refresh
// of the image, and only from the file that the refresh has kept. The pools are real, on any file system, because a stand-in compares
// contents instead of extents. If Bridges omitted one of the refusals that these tests check, a READ could get old data. Rules: G32.

import fs from 'node:fs';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { storageName } from '../../storage/files/storage-identity.ts';
import { WHOLE_CHANGES } from '../../testing/whole-turn.ts';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { snapshotPaths } from '../../pools/snapshots/snapshot-record.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { CopyScene, DB } from '../../testing/copy-scene.ts';
import { COMPARED_CONTENT } from '../../testing/move-scene.ts';
import { directory, openCopies, useTwoPools, writeBlock } from '../../testing/two-pools.ts';
import { type BridgeAnswer, Bridges } from './bridges.ts';
import { BRIDGE_REPORT_MS, BRIDGED_SHOWN_MS } from '../limits.ts';

const BLOCK_BYTES = 4_096;
const SIZE_BYTES = 16 * BLOCK_BYTES;

useTwoPools();

interface Scene {
  readonly copies: CopyScene;
  readonly bridges: Bridges;
  readonly clock: FakeClock;
  readonly logged: string[];
  /** `data` is the path of the volume's file, and `base` the path of the file that the refresh of the image has kept. */
  readonly data: string;
  readonly base: string;
  readonly snapshotFile: string;
  /** Asks for an image after a failed READ of the block. Returns the value of the block in the image; null if the READ keeps its error. */
  readonly ask: (block: number, changes?: { storage?: string; isGranted?: boolean }) => Promise<number | null>;
  readonly bridged: () => Promise<BridgeAnswer | null>;
  /** Volumes whose storage got a new incarnation. */
  readonly lostIds: readonly string[];
  /** Makes the lookup of the snapshot succeed this many times, and fail afterwards. */
  readonly findSnapshot: (times: number) => void;
}

/** Returns a scene in which a volume with the blocks [1, 2, ...] has an image in the other pool. */
async function open(changes: Partial<ServedVolume> = {}, sync: () => Promise<void> = () => Promise.resolve()): Promise<Scene> {
  const copies = await openCopies();
  await copies.scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  const config = copies.scene.served.get('db@0')!;
  const data = config.path!;
  for (let block = 0; block < 8; block++) writeBlock(data, block, block + 1);
  await copies.service.images.image({ ...DB, newUniverse: 1, pool: 'slow', limitBytes: null }, LOCAL_ASKER, WHOLE_CHANGES);
  await copies.run();
  const { states } = copies.scene.pools;
  const id = config.id!;
  const [image] = states[1]!.volumes.values();
  const [record] = states[0]!.snapshots.get(id)!.list;
  const snapshotFile = snapshotPaths.data(poolPaths.volume(states[0]!.path, id), record!.name);
  const [clock, logged, passed, lostIds] = [new FakeClock(), [] as string[], new Map<number, number>(), [] as string[]];
  const served = (): ServedVolume => {
    const storage = storageName(fs.statSync(data, { bigint: true }));
    const pool = { ids: [states[0]!.identity!.id], isThick: false };
    const plain = { name: 'db', universe: 0, id, type: 'file' as const, path: data, storage, sizeBytes: SIZE_BYTES, pool };
    const rights = { readonly: false, shared: false, takeOver: null, takeOverForce: false, clients: null };
    return { ...plain, ...rights, blockSizeBytes: 512, ...changes };
  };
  let looks = Number.POSITIVE_INFINITY;
  const bridges = new Bridges({
    clock,
    log: { warn: (text) => void logged.push(text) },
    changedData: COMPARED_CONTENT,
    pools: copies.scene.pools,
    served: (wanted) => (wanted === id ? served() : null),
    volumes: { sync },
    lost: (lost) => void lostIds.push(lost),
    snapshots: {
      placeOf: (snapshotId) => {
        if (looks-- <= 0) return null;
        const pool = copies.scene.pools.states[0]!;
        const found = pool.snapshots.get(id)?.list.find((one) => one.id === snapshotId);
        const files = [{ pool: 'fast', poolId: pool.identity!.id, path: snapshotFile, sizeBytes: SIZE_BYTES }];
        return found === undefined ? null : { record: found, files };
      },
    },
  });
  const session = (isGranted: boolean) => ({
    uses: { isGranted: () => isGranted },
    workerSession: {
      pass: async ([descriptor]: readonly number[]) => {
        passed.set(1, descriptor!);
        return 1;
      },
    },
  });
  const ask: Scene['ask'] = async (block, { storage = served().storage ?? '', isGranted = true } = {}) => {
    const where = { positionBytes: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES };
    const answer = await bridges.answer(session(isGranted), { what: 'bridge', volumeId: id, storage, ...where });
    if (answer?.bridgeTag !== 1) return null;
    const [descriptor, content] = [passed.get(1)!, Buffer.alloc(BLOCK_BYTES)];
    fs.readSync(descriptor, content, 0, BLOCK_BYTES, where.positionBytes);
    fs.closeSync(descriptor);
    return content[0]!;
  };
  const bridged = (): Promise<BridgeAnswer | null> => bridges.answer(session(true), { what: 'bridged', volumeId: id });
  const base = poolPaths.baseData(poolPaths.volume(states[1]!.path, image!.id));
  const findSnapshot = (times: number): void => void (looks = times);
  return { copies, bridges, clock, logged, data, base, snapshotFile, ask, bridged, lostIds, findSnapshot };
}

test('an image answers where the volume is as it was at the refresh, whatever clients have written to the image', async () => {
  const { copies, ask } = await open();
  const image = [...copies.scene.served.values()].find(({ universe }) => universe === 1)!;
  writeBlock(image.path!, 3, 66);
  expect([await ask(0), await ask(3), await ask(9)]).toEqual([1, 4, 0]);
});

test('a block that was written since the refresh is not answered, and neither is a range with one', async () => {
  const { data, bridges, ask, copies } = await open();
  writeBlock(data, 3, 99);
  expect([await ask(2), await ask(3), await ask(4)]).toEqual([3, null, 5]);
  const { id } = [...copies.scene.pools.states[0]!.volumes.values()][0]!;
  const storage = storageName(fs.statSync(data, { bigint: true }));
  const session = { uses: { isGranted: () => true }, workerSession: { pass: () => Promise.reject(new Error('passed')) } };
  const range = { positionBytes: 2 * BLOCK_BYTES, lengthBytes: 2 * BLOCK_BYTES };
  expect(await bridges.answer(session, { what: 'bridge', volumeId: id, storage, ...range })).toEqual({ bridgeTag: null });
});

test('a refresh answers what was written before it', async () => {
  const { copies, data, ask } = await open();
  writeBlock(data, 3, 99);
  const later = new CopyScene(copies.scene);
  await later.jobs.load();
  await later.service.images.refresh([{ name: 'db', universe: 1 }], null, LOCAL_ASKER, WHOLE_CHANGES);
  await later.run();
  // The scene still reports the files of the first snapshot, which the refresh has removed.
  expect(await ask(3)).toBe(null);
});

test('nothing is answered without the snapshot of the refresh, or with another file in its place or that of the image', async () => {
  const lost = await open();
  const [, slow] = lost.copies.scene.pools.states;
  const [fast] = lost.copies.scene.pools.states;
  const [record] = [...fast!.snapshots.values()][0]!.list;
  fs.renameSync(lost.base, `${lost.base}.old`);
  fs.copyFileSync(`${lost.base}.old`, lost.base);
  expect(await lost.ask(0), 'another file beside the image').toBe(null);
  fs.rmSync(lost.base);
  expect(await lost.ask(0), 'no file beside the image').toBe(null);
  fs.renameSync(`${lost.base}.old`, lost.base);
  expect(await lost.ask(0)).toBe(1);
  await lost.copies.scene.snapshots.remove({ ...DB, snapshot: record!.name }, LOCAL_ASKER, null);
  expect(await lost.ask(0), 'no snapshot').toBe(null);
  expect(slow!.trouble).toBe(null);
});

test('nothing is answered behind the end of the snapshot, or if the snapshot is removed during the look', async () => {
  const { data, ask, findSnapshot } = await open();
  fs.truncateSync(data, 2 * SIZE_BYTES);
  expect([await ask(15), await ask(16)]).toEqual([0, null]);
  findSnapshot(1);
  expect(await ask(0)).toBe(null);
  findSnapshot(2);
  expect(await ask(0)).toBe(1);
});

test('a session gets nothing of a volume that it does not hold, or whose file was replaced since it opened it', async () => {
  const { ask } = await open();
  expect(await ask(0, { isGranted: false })).toBe(null);
  expect(await ask(0, { storage: 'file 1:1' })).toBe(null);
});

test('a sync that fails answers nothing and starts a new incarnation; one that is slow answers nothing', async () => {
  let failure: Error = new RsError('E_VOLUME', 'Its storage reported an error');
  const { ask, lostIds, copies } = await open({}, () => Promise.reject(failure));
  expect([await ask(0), lostIds]).toEqual([null, [copies.scene.served.get('db@0')!.id]]);
  failure = new RsError('E_TIMEOUT', 'Its storage does not answer');
  expect([await ask(0), lostIds.length]).toEqual([null, 1]);
});

test('what the sync writes back is compared, and nothing is answered if the volume has another file afterwards', async () => {
  let duringSync = (): void => undefined;
  const { ask, data } = await open({}, async () => duringSync());
  duringSync = () => writeBlock(data, 3, 99);
  expect([await ask(2), await ask(3)]).toEqual([3, null]);
  duringSync = () => {
    fs.copyFileSync(data, `${data}.new`);
    fs.renameSync(`${data}.new`, data);
  };
  expect(await ask(0)).toBe(null);
});

test('snapshots, volumes of sections and volumes of several files keep their errors', async () => {
  const layout = { chunkBytes: null, parts: [] };
  for (const changes of [{ snapshotOf: 'a' }, { layout }]) {
    const { ask, copies } = await open(changes);
    expect(await ask(0)).toBe(null);
    await copies.scene.pools.close();
    fs.rmSync(directory, { recursive: true });
  }
});

test('the log says it at once and then at intervals, and the state counts every READ for a day', async () => {
  const { ask, bridged, bridges, clock, logged, copies } = await open();
  const { id } = copies.scene.served.get('db@0')!;
  expect(bridges.of(id!)).toBe(null);
  await ask(0);
  for (let count = 0; count < 3; count++) await bridged();
  expect(logged).toEqual([
    "1 READ of volume db failed and got the data from image db@1, because nothing has changed there: find the cause in the system's log (dmesg), and keep the image",
  ]);
  expect(bridges.of(id!)).toEqual({ reads: 3, lastMs: clock.wallMs() });
  clock.advance(BRIDGE_REPORT_MS);
  await bridged();
  expect(logged.slice(1)).toEqual([expect.stringMatching(/^3 READs of volume db failed/)]);
  clock.advance(BRIDGED_SHOWN_MS + 1);
  expect(bridges.of(id!)).toBe(null);
});
