// Tests which snapshots a client can open by name, which snapshot an id identifies, and that no snapshot is removed while a client has it
// open or is opening it. The pool is real and has descriptions of snapshots; there are no sessions. Rules: N1, N2, T8, G25.

import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { volumeConfigsOf } from '../../pools/pool-volume.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { NO_SNAPSHOTS } from '../../pools/snapshots/snapshot-scan.ts';
import { DB, directory, usePoolDirectory } from '../../testing/pool-directory.ts';
import { SNAPSHOT_HOLDER, snapshotScene } from '../../testing/snapshot-scene.ts';

usePoolDirectory();

test('a snapshot is served to the clients of its volume, read-only and shared, under an id of its own', async () => {
  const { snapshots, records, manifest, unserve } = await snapshotScene(directory, ['monday', 'tuesday'], ['big-2']);
  const [monday] = records;
  const found = snapshots.find('big-2', { name: 'db@monday', universe: 0 });
  expect(found).toMatchObject({
    name: 'db@monday',
    id: monday!.id,
    readonly: true,
    shared: true,
    clients: ['big-2'],
    snapshotOf: manifest.id,
    path: expect.stringMatching(/snapshots\/monday\.data$/),
  });
  expect(snapshots.byId(monday!.id)).toEqual(found);
  expect([snapshots.has(monday!.id), snapshots.has(manifest.id), snapshots.byId(manifest.id)]).toEqual([true, false, null]);
  for (const [node, name, universe] of [
    ['venus', 'db@monday', 0],
    ['big-2', 'db@sunday', 0],
    ['big-2', 'db@monday', 1],
    ['big-2', 'db', 0],
    ['big-2', 'other@monday', 0],
  ] as const)
    expect(snapshots.find(node, { name, universe })).toBeNull();
  expect(snapshots.whyMissing('big-2', { name: 'db@sunday', universe: 0 })).toBe('Volume db has no snapshot sunday');
  expect(snapshots.whyMissing('venus', { name: 'db@sunday', universe: 0 })).toBeNull();
  unserve();
  expect([snapshots.find('big-2', { name: 'db@monday', universe: 0 }), snapshots.byId(monday!.id)]).toEqual([null, null]);
});

test('a client with the right copy opens the moments of the replications to it, and no other snapshot', async () => {
  const { snapshots, copying, pools, manifest, records } = await snapshotScene(directory, ['monday', 'moment'], ['big-2']);
  const order = { to: 'big-2', pool: null, everyMs: 60_000, keep: 3, limitBytes: null, createdMs: 0, confirmed: null };
  const replication = { id: crypto.randomUUID(), members: [manifest.id], order };
  const mark = (to: string): void => pools.pools.put('fast', { ...manifest, replication: { ...replication, order: { ...order, to } } });
  mark('big-2');
  const moment = { ...records[1]!, replication: replication.id };
  pools.pools.putSnapshots('fast', manifest.id, (all) => ({ ...all, list: [records[0]!, moment] }));
  const found = (node = 'big-2') => ['monday', 'moment'].map((name) => snapshots.find(node, { name: `db@${name}`, universe: 0 }) !== null);
  expect(found()).toEqual([true, true]);
  copying.add('big-2');
  expect([found(), snapshots.whyMissing('big-2', { name: 'db@monday', universe: 0 })]).toEqual([[false, true], null]);
  mark('venus');
  expect(found()).toEqual([false, false]);
});

test('a hold of a copying server counts only while the server has the snapshot open; that of any other client always', async () => {
  const { snapshots, records, held, open, copying, pools, manifest } = await snapshotScene(directory, ['monday']);
  const { id } = records[0]!;
  held.add(id);
  expect(snapshots.readerCount(id)).toBe(1);
  copying.add('big-2');
  expect(snapshots.readerCount(id)).toBe(0);
  open.add(`${id} big-2`);
  expect(snapshots.readerCount(id)).toBe(1);
  // Without the right copy, the order of a replication shows that it is one.
  copying.clear();
  open.clear();
  const order = { to: 'big-2', pool: null, everyMs: 60_000, keep: 3, limitBytes: null, createdMs: 0, confirmed: null };
  pools.pools.put('fast', { ...manifest, replication: { id: crypto.randomUUID(), members: [manifest.id], order } });
  expect(snapshots.readerCount(id)).toBe(0);
});

test('a snapshot that a client has or is opening is not removed, and one that is being removed is not opened', async () => {
  const { snapshots, records, held, opening, manifest, pools } = await snapshotScene(directory, ['monday', 'tuesday']);
  const [config] = volumeConfigsOf(pools.pools.states);
  const [monday, tuesday] = records;
  const remove = (one: SnapshotRecord): Promise<unknown> =>
    snapshots.whileUnread(one, `db@${one.name}`, async () => snapshots.find('big-2', { name: `db@${one.name}`, universe: 0 }));
  held.add(monday!.id);
  await expect(remove(monday!)).rejects.toMatchObject({
    code: 'E_HELD',
    message: expect.stringMatching(/Snapshot db@monday is in use.*node big-2 at 127\.45\.0\.2.*rsconfig -d db@monday/),
  });
  expect(snapshots.readersOf(config!, () => false)).toEqual([{ ...SNAPSHOT_HOLDER, snapshot: 'db@monday', isCopying: false }]);
  expect([snapshots.readerCount(monday!.id), snapshots.readerCount(tuesday!.id)]).toEqual([1, 0]);
  expect(await remove(tuesday!)).toBeNull();
  opening.push({ ...SNAPSHOT_HOLDER, id: tuesday!.id });
  await expect(remove(tuesday!)).rejects.toMatchObject({ code: 'E_HELD' });
  expect(snapshots.readersOf(config!, () => false)).toHaveLength(2);
  held.clear();
  opening.length = 0;
  await expect(snapshots.whileUnread(monday!, 'db@monday', () => Promise.reject(new Error('disk')))).rejects.toThrow('disk');
  expect(snapshots.find('big-2', { name: 'db@monday', universe: 0 })).not.toBeNull();
  pools.pools.putSnapshots('fast', manifest.id, () => NO_SNAPSHOTS);
  expect(snapshots.find('big-2', { name: 'db@monday', universe: 0 })).toBeNull();
  await expect(pools.verbs.remove(DB, LOCAL_ASKER, null)).resolves.toBeDefined();
});
