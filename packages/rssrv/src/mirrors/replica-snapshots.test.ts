// Tests snapshots of replicas (M22): only the holder of the mirror makes snapshots of the replicas, and no client can read a snapshot that
// the holder has not proven.

import { expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { snapshotIdOf } from '@rsio/protocol/mirror/moments/snapshot-id';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { mirrorReplicationId } from '../pools/mirror-sources.ts';
import { replicationsIn } from '../pools/source-marks.ts';
import { MOMENTS_UNCONFIRMED_MAX } from '../pools/limits.ts';
import { orderOf } from '../replication/sources/source-orders.ts';
import { isUuid } from '../pools/disk/ids.ts';
import { ReplicaStore } from './replica-verbs.ts';
import { DB, directory, MIB, open, usePoolDirectory } from '../testing/pool-directory.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { order, sourceVerbs } from '../testing/source-scene.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../testing/whole-turn.ts';
import type { SnapshotView } from '@rsio/api/views/views';
import type { VoterRecord } from './voter-rules.ts';
import { replicaSnapshotHandlers } from './replica-snapshot-handlers.ts';
import type { FoundSnapshot } from '../snapshots/snapshot-rules.ts';
import { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { volumeConfigsOf } from '../pools/pool-volume.ts';

usePoolDirectory();

const MIRROR = 'a'.repeat(32);
const ID = '8a65f309-f092-4c5a-913e-b2a388712c50';
const HOLDER = new Asker('big-2', { role: 'manage', pools: null, limitBytes: null });
const X = { ...DB, snapshot: 'x' };
const MOMENT = { mirror: MIRROR, term: 3, number: 1, id: ID };

async function replicaScene(): Promise<PoolScene> {
  const scene = await open();
  const { manifest } = await scene.create({ sizeBytes: MIB });
  await storeOf(scene).place(manifest.id, MIRROR);
  return scene;
}

function storeOf({ verbs }: PoolScene): ReplicaStore {
  const log = { info: () => undefined };
  return new ReplicaStore(
    verbs,
    () => 'b'.repeat(32),
    (work) => work(),
    log,
    { isServed: () => true, end: () => Promise.resolve() },
  );
}

/** The methods for an asker; the holder of the mirror is HOLDER, and its term is 3. */
function ordersAt(scene: PoolScene, asker = HOLDER, noted: string[] = [], { snapshots }: Pick<PoolScene, 'snapshots'> = scene) {
  const term = { number: 3, node: 'big-2', instance: 1 };
  const stored = { term, config: { clean: false, inSync: ['b'.repeat(32)] } };
  const inventory = {
    get catalogue() {
      return { pools: scene.pools.states, configured: [] };
    },
    snapshotViews: async (found: readonly FoundSnapshot[]) => found.map(({ record }) => record as unknown as SnapshotView),
  };
  const voters = { recordOf: () => ({ promise: term, stored }) as unknown as VoterRecord };
  const note = (verb: string): void => void noted.push(`event: ${verb}`);
  const noteRegular = (verb: string): void => void noted.push(`line: ${verb}`);
  return replicaSnapshotHandlers(snapshots, { ...WHOLE_CHANGES, note, noteRegular }, voters, inventory, asker);
}

function served(scene: PoolScene) {
  const { pools } = scene;
  const none = () => [];
  return new ServedSnapshots({
    pools,
    holds: { holdersOf: none },
    volumes: () => volumeConfigsOf(pools.states),
    isCopying: () => false,
    opening: none,
    isOpen: () => false,
  });
}

test('a snapshot of a mirror is an event, and a moment of its replication only a line in the log', async () => {
  const scene = await replicaScene();
  const noted: string[] = [];
  const order = { ...X, mirror: MIRROR, term: 3, id: ID, request: null };
  await ordersAt(scene, HOLDER, noted)['replica-snapshot']({ ...order, number: 1, isMoment: false });
  const prove = async (...given: Parameters<typeof scene.snapshots.prove>) => {
    const found = await scene.snapshots.prove(...given);
    return { ...found, record: { ...found.record, replication: ID } };
  };
  const { snapshots } = scene;
  await ordersAt(scene, HOLDER, noted)['replica-snapshot-prove'](order);
  await ordersAt(scene, HOLDER, noted, { snapshots: { prove } as unknown as typeof snapshots })['replica-snapshot-prove'](order);
  expect(noted).toEqual(['event: snapshot x made, not yet proven', 'event: snapshot x proven', 'line: snapshot x proven']);
});

test('a command or a schedule makes no snapshot of a replica, and the error names the way', async () => {
  const { snapshots } = await replicaScene();
  const refused = `Volume db is a replica of mirror ${MIRROR}, which may lack writes: snapshots of the mirror are made on the client that has it attached (rsconfig volume snapshot db@NAME, without --server)`;
  for (const asker of [HOLDER, LOCAL_ASKER]) await expect(snapshots.snapshot([X], asker, null, WHOLE_TURN)).rejects.toThrow(refused);
  await expect(snapshots.snapshot([{ ...X, moment: { ...MOMENT, mirror: 'c'.repeat(32) } }], HOLDER, null, WHOLE_TURN)).rejects.toThrow(
    'no replica of',
  );
  await expect(snapshots.snapshot([{ ...X, moment: { ...MOMENT, id: 'x' } }], HOLDER, null, WHOLE_TURN)).rejects.toThrow('is a UUID');
});

test('a snapshot that is not proven is neither served, listed, cloned nor compared; it can be proven, also again, and removed', async () => {
  const scene = await replicaScene();
  const { snapshots } = scene;
  const [{ record } = { record: null }] = await snapshots.snapshot([{ ...X, moment: MOMENT }], HOLDER, null, WHOLE_TURN);
  expect(record).toMatchObject({ id: ID, moment: { mirror: MIRROR, term: 3, number: 1, isProven: false } });
  const name = { name: 'db@x', universe: 0 };
  expect(served(scene).find('big-2', name)).toBeNull();
  expect(served(scene).whyMissing('big-2', name)).toContain('did not confirm');
  const clone = () => snapshots.clone(X, { name: 'copy', universe: 0 }, HOLDER, null, WHOLE_TURN);
  await expect(clone()).rejects.toThrow('did not confirm that it has all writes: volume remove db@x removes it');
  await expect(snapshots.prove(X, crypto.randomUUID(), HOLDER)).rejects.toThrow('was replaced meanwhile');
  expect((await snapshots.prove(X, ID, HOLDER)).record.moment?.isProven).toBe(true);
  expect((await snapshots.prove(X, ID, HOLDER)).record.moment?.isProven).toBe(true);
  expect(served(scene).find('big-2', name)?.id).toBe(ID);
  await clone();
  // A restart finds the same snapshots.
  await scene.pools.close();
  const again = await PoolScene.open(directory, { clock: systemClock });
  expect(served(again).find('big-2', name)?.id).toBe(ID);
  await again.snapshots.remove(X, HOLDER, null);
  await again.snapshots.snapshot([{ ...X, moment: { ...MOMENT, number: 2 } }], HOLDER, null, WHOLE_TURN);
  await again.snapshots.remove(X, HOLDER, null);
  await again.pools.close();
});

test('only the holder of the mirror makes and proves snapshots of its replica, under its own term', async () => {
  const scene = await replicaScene();
  const stranger = new Asker('venus', { role: 'manage', pools: null, limitBytes: null });
  for (const [code, asker, change] of [
    ['E_USAGE', HOLDER, { mirror: 'c'.repeat(32) }],
    ['E_USAGE', LOCAL_ASKER, {}],
    ['E_HELD', stranger, {}],
    ['E_HELD', HOLDER, { term: 2 }],
  ] as const) {
    const orders = ordersAt(scene, asker);
    const order = { ...X, mirror: MIRROR, term: 3, id: ID, request: null, ...change };
    await expect(orders['replica-snapshot']({ ...order, number: 1, isMoment: false })).rejects.toMatchObject({ code });
    await expect(orders['replica-snapshot-prove'](order)).rejects.toMatchObject({ code });
  }
  const { manifest } = await scene.create({ sizeBytes: MIB, name: 'plain' });
  const plain = { ...X, name: manifest.name, mirror: MIRROR, term: 3, number: 1, id: ID, isMoment: false, request: null };
  await expect(ordersAt(scene)['replica-snapshot'](plain)).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(scene.pools.states.flatMap(({ snapshots }) => [...snapshots.values()].flatMap(({ list }) => list))).toEqual([]);
  await scene.pools.close();
});

test('an order that is repeated at another moment gets a snapshot of that moment, and one that is late replaces nothing', async () => {
  const scene = await open();
  const { snapshots } = scene;
  const { manifest } = await scene.create({ sizeBytes: MIB });
  const store = storeOf(scene);
  // The volume was earlier a replica of another mirror, whose terms had higher numbers.
  const former = { mirror: 'c'.repeat(32), term: 50, number: 1, id: crypto.randomUUID() };
  await store.place(manifest.id, former.mirror);
  await snapshots.snapshot([{ ...X, moment: former }], HOLDER, null, WHOLE_TURN);
  await store.split(DB, LOCAL_ASKER, null);
  await store.place(manifest.id, MIRROR);
  const orders = ordersAt(scene);
  const make = (number: number, snapshot = 'x', id = ID) =>
    orders['replica-snapshot']({ ...DB, snapshot, mirror: MIRROR, term: 3, number, id, isMoment: false, request: null });
  const names = () =>
    scene.pools.states.flatMap((pool) => [...pool.snapshots.values()].flatMap(({ list }) => list.map(({ name }) => name)));
  // A failed snapshot is never proven. The next order removes the failed snapshot, even if the order is for a snapshot with another name.
  await make(0, 'failed', crypto.randomUUID());
  await make(1);
  expect(names()).toEqual(['x']);
  expect(await make(2)).toMatchObject({ snapshot: { id: snapshotIdOf(MIRROR, ID), moment: { number: 2, isProven: false } } });
  await expect(make(1)).rejects.toMatchObject({ code: 'E_EXISTS' });
  await orders['replica-snapshot-prove']({ ...X, mirror: MIRROR, term: 3, id: ID, request: null });
  await expect(make(3)).rejects.toMatchObject({ code: 'E_EXISTS' });
  await scene.pools.close();
});

test('the id of a snapshot of a mirror is a UUID that depends on both ids, so that a client cannot choose it', () => {
  const id = snapshotIdOf(MIRROR, ID);
  expect(isUuid(id)).toBe(true);
  expect(new Set([id, snapshotIdOf(MIRROR, ID), snapshotIdOf('b'.repeat(32), ID), snapshotIdOf(MIRROR, 'x'), ID]).size).toBe(4);
});

test('the moments of a replicated mirror are those that its holder makes, and all servers give them alike', async () => {
  const scene = await replicaScene();
  const { id: volumeId } = [...scene.pools.states[0]!.volumes.values()][0]!;
  const sources = sourceVerbs(scene, new Set(['oslo']));
  const begin = () => sources.replicate(order(['db'], { to: 'oslo', keep: 1 }), LOCAL_ASKER, null);
  const orders = ordersAt(scene);
  const moment = (number: number, isMoment = true) =>
    orders['replica-snapshot']({
      ...DB,
      snapshot: `x${number}`,
      mirror: MIRROR,
      term: 3,
      number,
      id: `id-${number}`,
      isMoment,
      request: null,
    });
  const prove = (number: number) =>
    orders['replica-snapshot-prove']({ ...DB, snapshot: `x${number}`, mirror: MIRROR, term: 3, id: `id-${number}`, request: null });
  await expect(moment(1)).rejects.toThrow('is not replicated');
  const { id } = await begin();
  // Another server of the mirror computes the same ids.
  expect(id).toBe(mirrorReplicationId(MIRROR, 'oslo'));
  expect(id).not.toBe(mirrorReplicationId(MIRROR, 'bergen'));
  const source = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';
  expect([isUuid(source), isUuid(id)]).toEqual([true, true]);
  const shown = () => orderOf(replicationsIn(scene.pools.states)[0]!, () => true, 9);
  expect(shown()).toMatchObject({ isMirror: true, members: [{ id: source, name: 'db' }], moments: [] });
  const oslo = new Asker('oslo', { role: 'use', pools: null, limitBytes: null });
  expect(() => sources.next(id, oslo, null)).toThrow('The client that has the mirror attached makes its moments');
  await moment(2);
  expect(shown().moments).toEqual([]);
  await prove(2);
  // Other snapshots of the mirror are no moments.
  await moment(3, false);
  await prove(3);
  await moment(4);
  await prove(4);
  const known = (number: number) => snapshotIdOf(MIRROR, `id-${number}`);
  expect(shown().moments).toMatchObject([
    { group: known(2), place: { term: 3, number: 2 }, snapshots: [{ volumeId: source, id: known(2) }] },
    { group: known(4), place: { term: 3, number: 4 }, snapshots: [{ volumeId: source, id: known(4) }] },
  ]);
  expect(await sources.confirm(id, known(4), oslo)).toBe(1);
  const names = () => [...scene.pools.states[0]!.snapshots.values()].flatMap(({ list }) => list.map(({ name }) => name));
  expect(names()).toEqual(['x3', 'x4']);
  await expect(scene.snapshots.remove({ ...DB, snapshot: 'x4' }, LOCAL_ASKER, null)).rejects.toMatchObject({ code: 'E_USAGE' });
  for (let number = 5; number < 5 + MOMENTS_UNCONFIRMED_MAX; number++) {
    await moment(number);
    await prove(number);
  }
  await expect(moment(9)).rejects.toMatchObject({ code: 'E_BUSY' });
  // A replica that leaves its mirror is an ordinary volume without the replication of the mirror.
  await storeOf(scene).unplace(volumeId);
  expect(replicationsIn(scene.pools.states)).toEqual([]);
  await scene.pools.close();
});

test('a mirror is replicated alone', async () => {
  const scene = await replicaScene();
  await scene.create({ name: 'log', sizeBytes: MIB });
  const sources = sourceVerbs(scene, new Set(['oslo']));
  await expect(sources.replicate(order(['db', 'log'], { to: 'oslo' }), LOCAL_ASKER, null)).rejects.toThrow('replicate it alone');
  await scene.pools.close();
});
