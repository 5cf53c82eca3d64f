// Tests what becomes of volumes that were the source: they follow the server that has taken over, whatever their names are, and never get a
// second volume beside them. A follower goes on after the end of its replication, and its newest moment cannot be removed. Rules: T4, T6,
// T8, T9.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { beforeEach, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import type { Found } from '../../pools/catalogue.ts';
import { closedFor, following } from '../../pools/follower-rules.ts';
import { type Moment, momentsOf } from '../../pools/source-moments.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, order, PEER, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { FailingStep } from '../../testing/stopped-verbs.ts';
import { HandOver } from '../sources/hand-over.ts';
import { Demotion } from './demotion.ts';
import { type FollowerFacts, nextStep } from './follower-plan.ts';
import { FollowerVerbs } from './follower-verbs.ts';

usePoolDirectory();

const uuid = (digits: string): string => `00000000-0000-4000-8000-${digits.padStart(12, '0')}`;
const [REVERSE, OTHER] = [uuid('aa'), uuid('bb')];
const AT = { peer: 'bergen', nowMs: 0, sinceMomentMs: null, gotGroup: null, mayAskGrant: true };
const SOURCE = { name: 'bergen', pools: null };
let s: SourceScene;
let time: SourceTime;
let failing: FailingStep;
let followers: FollowerVerbs;

beforeEach(async () => {
  [time, failing] = [new SourceTime(), new FailingStep('change: commit')];
  s = await openSources(directory, time, { reached: failing.reached });
  scenes.push(s.scene);
  followers = new FollowerVerbs(s.scene.verbs);
  for (const name of ['db', 'log']) await s.scene.create({ name });
});

const rename = (from: string, to: string) => s.scene.verbs.rename(named(from)[0]!, named(to)[0]!, LOCAL_ASKER, null);
const all = (): readonly Found[] =>
  s.scene.pools.states.flatMap((pool) => [...pool.volumes.values()].map((manifest): Found => ({ pool, manifest })));
const handOvers = (): HandOver =>
  new HandOver({
    verbs: s.scene.verbs,
    peers: () => [{ name: 'bergen', nodename: 'oslo' } as PeerConfig],
    peerState: (name) => ({ name, isConnected: true, pathsUp: 1, sinceMs: 0, trouble: null }),
  });

/** The order of a server whose volumes db and log are copies of these at this moment. */
function orderAt({ group, momentMs, snapshots }: Moment, changes: Partial<ReplicationOrder> = {}): ReplicationOrder {
  const members = ['db', 'log'].map((name, index) => ({
    id: uuid(`${index + 1}`),
    name,
    universe: 0,
    sizeBytes: 1_048_576,
    blockSizeBytes: 512,
  }));
  const copies = members.map(({ id, sizeBytes, blockSizeBytes }, index) => ({
    volumeId: id,
    id: uuid(`c${index}`),
    snapshot: 'm',
    sizeBytes,
    blockSizeBytes,
    origin: snapshots[index]?.id ?? null,
  }));
  const fixed = {
    replication: REVERSE,
    pool: null,
    everyMs: 60_000,
    keep: 3,
    limitBytes: null,
    problem: null,
    isMirror: false,
    shared: null,
  };
  return {
    ...fixed,
    confirmed: group,
    handOver: null,
    members,
    moments: [{ group, momentMs, place: null, snapshots: copies }],
    ...changes,
  };
}

/** Closes the volumes for a hand-over with this id, and makes the last moment. */
async function handOver(wanted = REVERSE): Promise<Moment> {
  await s.begin(['db', 'log'], { reversible: 'bergen' });
  const { id } = s.only;
  await s.moment();
  time.later(60_000);
  await handOvers().close(id, wanted, PEER);
  const last = await s.moment();
  await handOvers().last(id, wanted, last.group, PEER);
  return last;
}

const step = (wanted: ReplicationOrder) => nextStep(wanted, [], { ...AT, old: followers.oldSources(wanted, 'bergen') });

// Regression: the poll found no volume of the name, and made a second follower beside the renamed source, so that no site served.
test.each([false, true])(
  'a closed source follows the server that has taken over, and gets no second volume; renamed: %s',
  async (isRenamed) => {
    if (isRenamed) for (const name of ['db', 'log']) await rename(name, `old-${name}`);
    const names = isRenamed ? ['old-db', 'old-log'] : ['db', 'log'];
    await s.begin(names, { reversible: 'bergen' });
    await handOvers().close(s.only.id, REVERSE, PEER);
    const last = await s.moment();
    await handOvers().last(s.only.id, REVERSE, last.group, PEER);
    const taken = orderAt(last);
    await expect(followers.create(taken, taken.members[0]!, SOURCE)).rejects.toMatchObject({ code: 'E_EXISTS' });
    expect(step(taken)).toEqual({ kind: 'follow' });
    await followers.followHanded(taken, 'bergen');
    expect(all().map(({ manifest }) => [manifest.name, following(manifest)?.replication, following(manifest)?.base])).toEqual(
      names.map((name) => [name, REVERSE, last.group]),
    );
    expect([s.all, followers.oldSources(taken, 'bergen')]).toEqual([[], []]);
  },
);

// Regression: a renamed source that came back from a backup without any moment in common got a second follower beside it.
test('a source without a moment in common gets no follower beside it, whatever its name is, and can be demoted', async () => {
  await rename('db', 'old-db');
  const [db] = all();
  const stranger = orderAt({ group: uuid('dd'), momentMs: 1, snapshots: [] });
  const from = (was: string | null): ReplicationOrder => ({ ...stranger, members: [{ ...stranger.members[0]!, was }] });
  expect(step(from(null))).toMatchObject({ kind: 'create' });
  const taken = from(db!.manifest.id);
  expect(step(taken)).toMatchObject({ kind: 'stuck', word: 'split', text: expect.stringContaining('volume demote old-db --for bergen') });
  await expect(followers.create(taken, taken.members[0]!, SOURCE)).rejects.toMatchObject({ code: 'E_EXISTS' });
  const demotion = new Demotion({
    verbs: s.scene.verbs,
    snapshots: { snapshotUnserved: () => Promise.resolve([]) },
    differences: { difference: () => Promise.reject(new Error('Nothing is in common')) },
    ordersOf: () => [taken],
  });
  await demotion.demote(named('old-db'), 'bergen', LOCAL_ASKER);
  expect(following(all()[0]!.manifest)).toMatchObject({ replication: REVERSE, sourceId: taken.members[0]!.id });
});

// Regression: a follower was promoted because its source had come back from an old backup. The state named demote, and demote was refused,
// because the backup lacked all moments in common and the volume had another name.
test('a promoted follower without a moment in common can follow its source again, whatever its name is', async () => {
  await rename('db', 'old-db');
  const { pool, manifest } = all()[0]!;
  const taken = orderAt({ group: uuid('dd'), momentMs: 1, snapshots: [] });
  const [member] = taken.members;
  const follower = {
    replication: OTHER,
    peer: 'bergen',
    sourceId: member!.id,
    sourceName: 'db',
    sourceUniverse: 0,
    members: [member!.id],
    promoted: { group: uuid('ee'), momentMs: 1, atMs: 1 },
  };
  s.scene.verbs.pools.put(pool.name, { ...manifest, follower });
  // Regression: the source came back from an image of an earlier replication, and got a second follower beside the promoted one.
  const offered = { ...taken, members: [member!] };
  for (const way of ['were promoted from', 'volume demote old-db --for bergen', 'volume copy'])
    expect(step(offered)).toMatchObject({ kind: 'stuck', word: 'split', text: expect.stringContaining(way) });
  // A follower of the same volume goes on, and a promoted one beside it is nobody's old source.
  const other = all()[1]!;
  const goesOn = { ...follower, replication: uuid('ff'), promoted: null };
  s.scene.verbs.pools.put(other.pool.name, { ...other.manifest, follower: goesOn });
  expect(followers.oldSources(offered, 'bergen')).toEqual([]);
  s.scene.verbs.pools.put(other.pool.name, other.manifest);
  await expect(followers.create(offered, member!, SOURCE)).rejects.toMatchObject({ code: 'E_EXISTS' });
  const demotion = new Demotion({
    verbs: s.scene.verbs,
    snapshots: { snapshotUnserved: () => Promise.resolve([]) },
    differences: { difference: () => Promise.reject(new Error('Nothing is in common')) },
    ordersOf: () => [{ ...taken, members: [member!] }],
  });
  await demotion.demote(named('old-db'), 'bergen', LOCAL_ASKER);
  expect(following(all()[0]!.manifest)).toMatchObject({ replication: REVERSE, sourceId: member!.id, promoted: null });
});

test('a closed source follows nobody but the server that it has closed for, in just that hand-over, and with its own last moment', async () => {
  const last = await handOver();
  const busy = { code: 'E_BUSY' };
  const other = orderAt(last, { replication: OTHER });
  expect(step(other)).toMatchObject({ kind: 'stuck', word: 'closed' });
  await expect(followers.followHanded(other, 'bergen')).rejects.toMatchObject(busy);
  await expect(followers.followHanded(orderAt(last), 'elsewhere')).rejects.toMatchObject(busy);
  // The image from which this server was restored lacks the last moment.
  const [first] = s.only.members.map(({ pool, manifest }) => pool.snapshots.get(manifest.id)!.list[0]!);
  const without = orderAt({
    group: first!.group.id,
    momentMs: 0,
    snapshots: s.only.members.map(({ pool, manifest }) => pool.snapshots.get(manifest.id)!.list[0]!),
  });
  expect(step(without)).toMatchObject({ kind: 'stuck', word: 'closed' });
  await expect(followers.followHanded(without, 'bergen')).rejects.toMatchObject(busy);
  expect(all().every(({ manifest }) => following(manifest) === null && closedFor(manifest) !== null)).toBe(true);
});

test('a closed source gets no follower while the other server hides its moments', async () => {
  const taken = orderAt(await handOver(), { problem: 'gone', moments: [] });
  for (const name of ['db', 'log']) await rename(name, `old-${name}`);
  expect(step(taken)).toMatchObject({ kind: 'stuck', word: 'closed' });
  await expect(followers.create(taken, taken.members[0]!, SOURCE)).rejects.toMatchObject({ code: 'E_EXISTS' });
});

test('a change of roles that was interrupted goes on, also after a restart, and the volume with the order is last', async () => {
  const taken = orderAt(await handOver());
  failing.isOn = true;
  await expect(followers.followHanded(taken, 'bergen')).rejects.toThrow('EIO');
  await s.scene.pools.readAgain('fast');
  expect(
    all()
      .map(({ manifest }) => `${manifest.name} ${following(manifest) !== null}`)
      .toSorted((one, other) => (one < other ? -1 : 1)),
  ).toEqual(['db false', 'log true']);
  expect(step(taken)).toEqual({ kind: 'follow' });
  await followers.followHanded(taken, 'bergen');
  expect(all().every(({ manifest }) => following(manifest)?.replication === REVERSE)).toBe(true);
});

test('an open source gets no follower beside it, although it was renamed, and both ways out name it', async () => {
  await s.begin(['db', 'log']);
  const promoted = orderAt(await s.moment());
  for (const name of ['db', 'log']) await rename(name, `old-${name}`);
  expect(step(promoted)).toMatchObject({
    kind: 'stuck',
    word: 'split',
    text: expect.stringContaining('rsadm volume demote old-db old-log --for bergen'),
  });
  await expect(followers.create(promoted, promoted.members[0]!, SOURCE)).rejects.toThrow('rsadm volume demote old-db old-log --for bergen');
  expect(all()).toHaveLength(2);
});

test('a replication that has ended begins again with the id that its followers know', async () => {
  const { id } = await s.begin(['db', 'log']);
  await s.moment();
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  expect((await s.begin(['db', 'log'])).id).toBe(id);
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  // Other volumes share the moments now, and a replication without a moment has no followers with one.
  expect((await s.begin(['db'])).id).not.toBe(id);
});

// Regression: a replication of fewer volumes than before had another id, its source did not list the newest moment of the follower, and the
// follower was always diverged.
test('the followers of some volumes of a replication that has ended go on: their newest moment is listed', async () => {
  await s.begin(['db', 'log']);
  const shared = await s.moment();
  await s.confirm(shared);
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  const again = await s.begin(['db']);
  expect(momentsOf(again).map(({ group }) => group)).toEqual([shared.group]);
  // The confirmation of the moment that both have keeps it as the base of the next pull.
  await s.confirm(shared);
  time.later(60_000);
  const next = await s.moment();
  await s.confirm(next);
  expect(momentsOf(s.only).map(({ group }) => group)).toEqual([shared.group, next.group]);
  expect(s.snapshotsOf('log')).toHaveLength(1);
});

// Regression: the followers of two volumes got moments of one, and no more of the other.
test('a volume whose mate was removed, or may be unreadable, begins a replication of its own', async () => {
  const { id } = await s.begin(['db', 'log']);
  await s.moment();
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  const unreadable = s.scene.pools.states[0]!.unreadable as Set<string>;
  unreadable.add(uuid('8'));
  expect((await s.begin(['db', 'log'])).id).not.toBe(id);
  await s.sources.end(named('db', 'log'), LOCAL_ASKER, null, false);
  unreadable.clear();
  await s.scene.verbs.remove(named('log')[0]!, LOCAL_ASKER, null);
  expect((await s.begin(['db'])).id).not.toBe(id);
});

test('a mark of a replication that goes on without the volume counts for nothing', async () => {
  const { id } = await s.begin(['db']);
  const [db, log] = ['db', 'log'].map((name) => s.volume(name));
  const members = [db!.manifest.id, log!.manifest.id];
  s.scene.pools.put('fast', { ...log!.manifest, replication: { id, members, order: null } });
  expect((await s.begin(['log'])).id).not.toBe(id);
});

/** Makes a follower of volume db of bergen, with these moments, the oldest first. */
async function follow(moments: readonly number[], replication = REVERSE): Promise<string> {
  const member = { id: uuid('1'), name: 'copy', universe: 0, sizeBytes: 4_096, blockSizeBytes: 512 };
  const wanted = orderAt({ group: uuid('e'), momentMs: 0, snapshots: [] }, { replication, members: [member] });
  await followers.create(wanted, member, SOURCE);
  const { id } = followers.of(replication)[0]!.manifest;
  for (const number of moments) {
    const snapshot = {
      volumeId: member.id,
      id: uuid(`d${number}`),
      snapshot: `m${number}`,
      sizeBytes: 4_096,
      blockSizeBytes: 512,
      origin: null,
    };
    const { state } = await followers.prepare(id, snapshot, null);
    await followers.arrived(id, { ...state, positionBytes: 4_096 }, 0);
    await followers.commit(id, { group: uuid(`f${number}`), momentMs: number, place: null, snapshots: [snapshot] }, snapshot, null);
  }
  return id;
}

test('a follower goes on under the next replication of its source, with its newest moment as its base', async () => {
  const id = await follow([1, 2]);
  const next = orderAt(
    { group: uuid('f2'), momentMs: 2, snapshots: [] },
    { replication: OTHER, members: [{ id: uuid('1'), name: 'new', universe: 0, sizeBytes: 4_096, blockSizeBytes: 512 }] },
  );
  await followers.create(next, next.members[0]!, { name: 'elsewhere', pools: null });
  expect(followers.of(OTHER).map(({ manifest }) => manifest.name)).toEqual(['new']);
  await followers.create({ ...next, replication: uuid('cc') }, next.members[0]!, SOURCE);
  expect(followers.of(uuid('cc')).map(({ manifest }) => [manifest.id, manifest.name, manifest.follower?.base])).toEqual([
    [id, 'copy', uuid('f2')],
  ]);
});

// Regression: volume remove db@MOMENT removed the only moment of a follower, and its source was lost.
test('the newest moment of a follower cannot be removed by a command, and earlier ones can', async () => {
  await follow([1, 2]);
  const remove = (snapshot: string) => s.scene.snapshots.remove({ name: 'copy', universe: 0, snapshot }, LOCAL_ASKER, null);
  await expect(remove('m2')).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('rsadm volume promote copy') });
  await remove('m1');
  await expect(remove('m2')).rejects.toMatchObject({ code: 'E_USAGE' });
});

test('the base of a volume that follows after a hand-over cannot be removed', async () => {
  const last = await handOver();
  await followers.followHanded(orderAt(last), 'bergen');
  const remove = (snapshot: string) => s.scene.snapshots.remove({ name: 'db', universe: 0, snapshot }, LOCAL_ASKER, null);
  const [older, base] = s.snapshotsOf('db');
  await expect(remove(base ?? '')).rejects.toMatchObject({ code: 'E_USAGE' });
  await remove(older ?? '');
});

test('a moment of a clock that was ahead is a moment like any other, and the next one is later', async () => {
  await s.begin(['db', 'log']);
  time.later(3_600_000);
  const ahead = await s.moment();
  await s.confirm(ahead);
  time.later(-3_600_000);
  const now = await s.moment();
  expect(now.momentMs).toBe(time.nowMs);
  await s.confirm(now);
  expect(s.only.order.confirmed).toEqual({ group: now.group, momentMs: time.nowMs });
  const facts: FollowerFacts = {
    sourceId: uuid('1'),
    volumeId: 'f',
    name: 'db',
    universe: 0,
    isPromoted: false,
    peer: 'bergen',
    wanted: null,
    snapshots: [],
    moments: [],
    inUse: new Set<string>(),
    members: [uuid('1'), uuid('2')],
  };
  expect(nextStep(orderAt(now), [facts, { ...facts, sourceId: uuid('2') }], { ...AT, old: [] }).kind).toBe('pull');
  await s.sources.replicate(order(['db', 'log'], { keep: 1 }), LOCAL_ASKER, null);
});
