// Tests the methods about replications: what each asker learns, which moments a poll lists, and when the programs of triggers start. The
// verbs have their own tests in sources.

import { COPYING_METHODS } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import type { SnapshotsToMake } from '@rsio/common/triggers/triggers';
import { beforeEach, expect, test } from 'vitest';
import { Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { directory, scenes, usePoolDirectory } from '../testing/pool-directory.ts';
import { named, openSources, order, OTHER_PEER, PEER, type SourceScene, SourceTime } from '../testing/source-scene.ts';
import { WHOLE_CHANGES } from '../testing/whole-turn.ts';
import { copyingHandlers, replicationHandlers, type ReplicationPorts } from './replication-handlers.ts';
import { orderOf } from './sources/source-orders.ts';
import { HandOver } from './sources/hand-over.ts';
import { SourceReports } from './sources/source-views.ts';

usePoolDirectory();

let time: SourceTime;
let s: SourceScene;
let ports: ReplicationPorts;
let around: SnapshotsToMake[];
let noted: string[];

const VENUS = new Asker('venus', { role: 'manage', pools: null, limitBytes: null });

beforeEach(async () => {
  [time, around, noted] = [new SourceTime(), [], []];
  s = await openSources(directory, time);
  scenes.push(s.scene);
  for (const name of ['db', 'log', 'other']) await s.scene.create({ name });
  ports = {
    clock: time.clock,
    catalogue: () => s.scene.verbs.catalogue,
    isClient: (name) => s.clients.has(name),
    sources: s.sources,
    reports: new SourceReports(time.clock),
    handOver: new HandOver({ verbs: s.scene.verbs, peers: () => [], peerState: () => null }),
    followers: { views: () => [] },
    triggers: {
      around: (wanted, _checkWanted, make) => {
        around.push(wanted);
        return make();
      },
    },
  };
});

const as = (asker: Asker) => {
  const note = (verb: string, { manifest: { name } }: { readonly manifest: { readonly name: string } }): void =>
    void noted.push(`${name} ${verb}`);
  const changes = { ...WHOLE_CHANGES, by: asker.by, note };
  return { ...replicationHandlers(ports, changes, asker), ...copyingHandlers(ports, changes, asker) };
};
const poll = (asker: Asker, reports: Parameters<ReturnType<typeof as>['replication-poll']>[0]['reports'] = []) =>
  as(asker)['replication-poll']({ reports });
const listed = (asker: Asker) => as(asker)['replication-list']({});

async function begin(names: readonly string[], to = 'big-8'): Promise<string> {
  const { replication } = await as(LOCAL_ASKER)['volume-replicate']({ ...order(names, { to }), request: null });
  return replication.id;
}

const moment = async (replication: string, asker: Asker = PEER, request: string | null = null) =>
  as(asker)['replication-moment']({ replication, request });

test('a client learns only of its own replications, and a local program of none', async () => {
  const [own, foreign] = [await begin(['db', 'log']), await begin(['other'], 'big-7')];
  const ids = async (asker: Asker) => (await poll(asker)).orders.map(({ replication }) => replication);
  expect([await ids(PEER), await ids(OTHER_PEER), await ids(LOCAL_ASKER)]).toEqual([[own], [foreign], []]);
  expect(await ids(new Asker('big-6', { role: 'admin', pools: null, limitBytes: null }))).toEqual([]);
  const of = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      (thrown: unknown) => (thrown as Error).message,
    );
  const refused = 'Client big-8 has no replication "ID" on this server: its source may have ended it';
  expect((await of(moment(foreign))).replace(foreign, 'ID')).toBe(refused);
  expect((await of(moment('x'))).replace('"x"', '"ID"')).toBe(refused);
  expect(
    (await of(as(PEER)['replication-confirm']({ replication: foreign, group: 'x', request: null }) as Promise<unknown>)).replace(
      foreign,
      'ID',
    ),
  ).toBe(refused);
});

test('a poll has the members, and the complete moments, the oldest first', async () => {
  const id = await begin(['db', 'log']);
  const made = [(await moment(id)).moment];
  time.later(5_000);
  made.push((await moment(id)).moment);
  const answer = await poll(PEER);
  expect(misfit(COPYING_METHODS['replication-poll'].result, answer, 'exactly')).toBeNull();
  expect(answer.nowMs).toBe(time.nowMs);
  const members = ['db', 'log'].map((name) => {
    const { id: volumeId, universe, sizeBytes, blockSizeBytes } = s.volume(name).manifest;
    return { id: volumeId, name, universe, sizeBytes, blockSizeBytes, was: null };
  });
  const settings = {
    replication: id,
    pool: null,
    everyMs: 60_000,
    keep: 2,
    limitBytes: null,
    confirmed: null,
    problem: null,
    shared: null,
    handOver: null,
    isMirror: false,
    granted: null,
  };
  expect(answer.orders).toEqual([{ ...settings, members, moments: made }]);
  const group = made[0]!.group;
  await as(PEER)['replication-confirm']({ replication: id, group, request: null });
  expect((await poll(PEER)).orders[0]?.confirmed).toBe(group);
  // Without one of its snapshots, a moment is not complete.
  const { pool, manifest } = s.volume('log');
  s.scene.pools.putSnapshots(pool.name, manifest.id, (all) => ({ ...all, list: all.list.slice(1) }));
  expect((await poll(PEER)).orders[0]?.moments.map((one) => one.group)).toEqual([made[1]!.group]);
});

test('the moments that volumes got as followers are listed with their originals', async () => {
  const id = await begin(['db', 'log']);
  const { snapshots } = (await moment(id)).moment;
  const [group, originals] = [crypto.randomUUID(), snapshots.map(() => crypto.randomUUID())];
  for (const [index, name] of ['db', 'log'].entries()) {
    const { pool, manifest } = s.volume(name);
    s.scene.pools.putSnapshots(pool.name, manifest.id, (all) => {
      const [first] = all.list;
      const origin = { snapshot: originals[index]!, group };
      const own = { id: crypto.randomUUID(), poolId: crypto.randomUUID(), volumeId: manifest.id };
      return {
        ...all,
        list: [
          { ...first!, id: crypto.randomUUID(), name: 'old', createdMs: 5 + index, group: own, replication: own.id, origin },
          ...all.list,
        ],
      };
    });
  }
  const [inherited, ...others] = (await poll(PEER)).orders[0]!.moments;
  expect(inherited).toMatchObject({ group, momentMs: 5, snapshots: originals.map((origin) => ({ origin, snapshot: 'old' })) });
  expect(others).toHaveLength(1);
  await as(PEER)['replication-confirm']({ replication: id, group, request: null });
  expect((await poll(PEER)).orders[0]?.confirmed).toBe(group);
});

test('a poll lists a bounded number of moments, and always the confirmed one and all later ones', async () => {
  const id = await begin(['db']);
  const groups: string[] = [];
  for (let count = 0; count < 4; count++) {
    groups.push((await moment(id)).moment.group);
    time.later(2_000);
  }
  await s.begin(['db'], { keep: 9 });
  await as(PEER)['replication-confirm']({ replication: id, group: groups[1]!, request: null });
  const bounded = (max: number) => orderOf(s.only, () => true, max).moments.map(({ group }) => groups.indexOf(group));
  expect([bounded(1), bounded(2), bounded(9)]).toEqual([
    [1, 2, 3],
    [1, 2, 3],
    [0, 1, 2, 3],
  ]);
});

test('an order names the shared pool of its volumes, and how many owners the pool has had', async () => {
  await begin(['db']);
  const { home, ...others } = s.only;
  const pool = { ...home.pool, isShared: true, ownership: { generation: 17, life: 1 } };
  const shared = { poolId: home.pool.identity?.id, generation: 17 };
  expect(orderOf({ ...others, home: { ...home, pool } }, () => true, 9).shared).toEqual(shared);
});

test('a client that may no longer attach a volume learns nothing about the volumes', async () => {
  await begin(['db', 'log']);
  await s.scene.verbs.set({ name: 'log', universe: 0 }, { clients: ['venus'] }, LOCAL_ASKER, null);
  const [only] = (await poll(PEER)).orders;
  const problem = 'Client big-8 may no longer attach all volumes of the replication: the administrator of the server sees why';
  expect(only).toMatchObject({ members: [], moments: [], problem });
  expect((await listed(LOCAL_ASKER)).replications[0]).toMatchObject({
    state: 'failing',
    text: expect.stringContaining('volume allow log big-8'),
  });
});

test('a manager sees the replications all of whose volumes it may attach', async () => {
  await begin(['db', 'log']);
  await begin(['other'], 'big-7');
  await s.scene.verbs.set({ name: 'log', universe: 0 }, { clients: ['big-8'] }, LOCAL_ASKER, null);
  const volumes = async (asker: Asker) => (await listed(asker)).replications.map((one) => one.volumes.map(({ name }) => name).join(' '));
  expect([await volumes(LOCAL_ASKER), await volumes(VENUS)]).toEqual([['db log', 'other'], ['other']]);
});

test('reports are shown, and only those about own replications', async () => {
  const [own, foreign] = [await begin(['db']), await begin(['other'], 'big-7')];
  const report = { state: 'copying', text: 'copies', doneBytes: 1, totalBytes: 4 } as const;
  await poll(PEER, [
    { ...report, replication: own },
    { ...report, replication: foreign },
  ]);
  const states = (await listed(LOCAL_ASKER)).replications.map(({ id, state, totalBytes }) => [id === own, state, totalBytes]);
  expect(states).toEqual([
    [true, 'copying', 4],
    [false, 'waiting', 0],
  ]);
});

test('triggers run around a moment, and not for a repeated request or a refusal', async () => {
  const id = await begin(['db', 'log']);
  const first = await moment(id, PEER, 'r');
  const snapshot = 'replica-20261128-100000';
  const replication = id;
  const snapshots = named('db', 'log').map((one) => ({ ...one, snapshot, replication }));
  expect(around).toMatchObject([{ snapshots, by: 'big-8', isScheduled: true }]);
  expect(await moment(id, PEER, 'r')).toEqual(first);
  await moment(id, PEER, 'other').catch(() => undefined);
  expect(around).toHaveLength(1);
});

test('a moment keeps the name that the triggers got, although the clock goes on', async () => {
  const id = await begin(['db']);
  ports = { ...ports, triggers: { around: (_wanted, _check, make) => (time.later(3_000), make()) } };
  expect((await moment(id)).moment.snapshots.map((one) => one.snapshot)).toEqual(['replica-20261128-100000']);
});

test('orders are noted for each volume, and the end shows the replication as it was', async () => {
  const id = await begin(['db', 'log']);
  const { replication } = await as(LOCAL_ASKER)['volume-replicate-end']({ volumes: named('db', 'log'), force: false, request: 'r' });
  expect(replication).toMatchObject({ id, peer: 'big-8', state: 'ended', volumes: named('db', 'log') });
  expect(await as(LOCAL_ASKER)['volume-replicate-end']({ volumes: named('db', 'log'), force: false, request: 'r' })).toEqual({
    replication: null,
  });
  const verbs = ['replicated to client big-8', 'no longer replicated to client big-8'];
  expect(noted).toEqual(verbs.flatMap((verb) => [`db ${verb}`, `log ${verb}`]));
});

test('a hand-over waits for a moment in the making before it records the last one', async () => {
  const id = await begin(['db']);
  const recorded: string[] = [];
  const last = async (_id: string, _wanted: string, group: string): Promise<void> => {
    recorded.push(group);
    if (recorded.length === 1) throw new RsError('E_BUSY', 'A snapshot is being made');
  };
  const handOver = { check: () => 'bergen', close: () => Promise.resolve(), lastOf: () => null, last } as unknown as HandOver;
  ports = { ...ports, handOver };
  const asked = as(PEER)['replication-grant']({ replication: id, wanted: id, checkOnly: false, request: null });
  expect([await asked, recorded.length, new Set(recorded).size]).toEqual([{ node: 'bergen' }, 2, 1]);
});
