// Tests what becomes of followers when their source hands its volumes over, and of an old source that is demoted. The moments of the two
// servers are paired by the ids of snapshots, never by names. sources/hand-over.test.ts tests the source's part.

import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { following } from '../../pools/follower-rules.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { named, openSources, type SourceScene, SourceTime } from '../../testing/source-scene.ts';
import { volumeContent, writeVolume } from '../../testing/volume-content.ts';
import { FailingStep } from '../../testing/stopped-verbs.ts';
import { orderOf } from '../sources/source-orders.ts';
import { WHOLE_TURN } from '../../testing/whole-turn.ts';
import { Demotion } from './demotion.ts';
import { nextStep } from './follower-plan.ts';
import { FollowerVerbs } from './follower-verbs.ts';
import { Promotion } from './promotion.ts';
import { TakeOver } from './take-over.ts';

usePoolDirectory();

const REVERSE = '00000000-0000-4000-8000-0000000000aa';
const GROUP = '00000000-0000-4000-8000-0000000000bb';
const uuid = (digit: string): string => `00000000-0000-4000-8000-00000000000${digit}`;
const NAMES = ['db', 'log'];
let s: SourceScene;
let time: SourceTime;
let followers: FollowerVerbs;
let failing: FailingStep;

/** The order of a source whose volumes have the ids 1 and 2, and whose snapshots of the last moment have the ids 3 and 4. */
function sourceOrder(changes: Partial<ReplicationOrder> = {}): ReplicationOrder {
  const members = NAMES.map((name, index) => ({ id: uuid(String(index + 1)), name, universe: 0, sizeBytes: 4096, blockSizeBytes: 512 }));
  const snapshots = members.map(({ id, sizeBytes, blockSizeBytes }, index) => ({
    volumeId: id,
    id: uuid(String(index + 3)),
    snapshot: 'last',
    sizeBytes,
    blockSizeBytes,
    origin: null,
  }));
  const settings = {
    replication: uuid('9'),
    pool: 'fast',
    everyMs: 60_000,
    keep: 3,
    limitBytes: null,
    confirmed: null,
    problem: null,
    isMirror: false,
  };
  return {
    ...settings,
    shared: null,
    handOver: null,
    members,
    moments: [{ group: GROUP, momentMs: 1_000, place: null, snapshots }],
    ...changes,
  };
}

const HAND_OVER = { replication: REVERSE, group: GROUP, node: 'elsewhere' };
const WISH = { replication: REVERSE, node: 'oslo', reversible: false };
const LANE = { peer: 'oslo', nowMs: 2_000, sinceMomentMs: null, gotGroup: null, old: [], mayAskGrant: true };

/** Makes followers with the last moment. `count`: number of followers that get it. */
async function follow(count: number): Promise<void> {
  const order = sourceOrder();
  for (const member of order.members) await followers.create(order, member, { name: 'oslo', pools: null });
  const [moment] = order.moments;
  for (const snapshot of moment!.snapshots.slice(0, count)) {
    const found = followers.of(order.replication).find(({ manifest }) => manifest.follower?.sourceId === snapshot.volumeId)!;
    const { state } = await followers.prepare(found.manifest.id, snapshot, null);
    await followers.arrived(found.manifest.id, { ...state, positionBytes: snapshot.sizeBytes }, 0);
    await followers.commit(found.manifest.id, moment!, snapshot, null);
  }
}

beforeEach(async () => {
  time = new SourceTime();
  failing = new FailingStep('change: commit');
  s = await openSources(directory, time, { reached: failing.reached });
  scenes.push(s.scene);
  followers = new FollowerVerbs(s.scene.verbs);
});

const takeOver = () => new TakeOver(s.scene.verbs, followers, new Promotion(s.scene.verbs, s.scene.snapshots));
const manifests = () => NAMES.map((name) => s.volume(name).manifest);

test('no server takes over unless an order here wants just this hand-over', async () => {
  await follow(2);
  const order = sourceOrder({ handOver: HAND_OVER, granted: REVERSE });
  await expect(takeOver().run(order, HAND_OVER)).rejects.toMatchObject({ code: 'E_BUSY' });
  await followers.want(order.replication, { ...WISH, replication: uuid('7') });
  await expect(takeOver().run(order, HAND_OVER)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(manifests().map((one) => following(one)?.wanted?.replication)).toEqual([uuid('7'), uuid('7')]);
  await followers.want(order.replication, null);
  expect(manifests().map((one) => following(one)?.wanted)).toEqual([undefined, undefined]);
});

test('a source that is closed is taken over when all followers have its last moment, and the order is the other way round', async () => {
  await follow(1);
  const order = sourceOrder({ handOver: HAND_OVER });
  await followers.want(order.replication, WISH);
  await expect(takeOver().run(order, HAND_OVER)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(manifests().every((one) => following(one) !== null)).toBe(true);
});

test('after a take-over, the volumes are ordinary, and are replicated to the old source, which may attach them', async () => {
  await follow(2);
  const order = sourceOrder({ handOver: HAND_OVER });
  await followers.want(order.replication, WISH);
  await takeOver().run(order, HAND_OVER);
  expect(manifests().map((one) => [following(one), one.clients])).toEqual([
    [null, ['oslo']],
    [null, ['oslo']],
  ]);
  expect(s.only).toMatchObject({ id: REVERSE, order: { to: 'oslo', everyMs: 60_000, keep: 3, confirmed: { group: GROUP } } });
  // The old source finds its own snapshots in the order, so that only differences go back.
  expect(orderOf(s.only, () => true, 9).moments.map((one) => one.snapshots.map(({ origin }) => origin))).toEqual([[uuid('3'), uuid('4')]]);
  const before = manifests();
  await takeOver().run(order, HAND_OVER);
  expect(manifests()).toEqual(before);
});

test('followers that a command has promoted meanwhile do not take over, because the promotion has forgotten the wish', async () => {
  await follow(2);
  await followers.want(uuid('9'), WISH);
  await new Promotion(s.scene.verbs, s.scene.snapshots).promote(named(...NAMES), LOCAL_ASKER, null);
  await expect(takeOver().run(sourceOrder({ handOver: HAND_OVER }), HAND_OVER)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(s.all).toEqual([]);
  const again = new Promotion(s.scene.verbs, s.scene.snapshots).promote(named(...NAMES), LOCAL_ASKER, null);
  await expect(again).rejects.toThrow('Volumes db, log are promoted already: rsadm volume replications');
});

test('a take-over that is repeated late changes no other replication of the volumes', async () => {
  await follow(2);
  const order = sourceOrder({ handOver: HAND_OVER });
  await followers.want(order.replication, WISH);
  await takeOver().run(order, HAND_OVER);
  // The old source was away for long, and the volumes were replicated to a third server.
  await s.sources.end(named(...NAMES), LOCAL_ASKER, null, false);
  for (const name of named(...NAMES)) await s.scene.verbs.set(name, { clients: null }, LOCAL_ASKER, null);
  await s.begin(NAMES);
  const before = manifests();
  await expect(takeOver().run(order, HAND_OVER)).rejects.toMatchObject({ code: 'E_EXISTS' });
  expect(manifests()).toEqual(before);
});

test('a promotion that was interrupted ends although the moment of a promoted volume was removed', async () => {
  await follow(2);
  const promotion = new Promotion(s.scene.verbs, s.scene.snapshots);
  const interrupted = promotion.promote(named(...NAMES), LOCAL_ASKER, null, (manifest) => {
    if (manifest.name === 'log') throw new Error('interrupted');
    return manifest;
  });
  await expect(interrupted).rejects.toThrow('interrupted');
  await s.scene.snapshots.remove({ name: 'db', universe: 0, snapshot: s.snapshotsOf('db')[0]! }, LOCAL_ASKER, null);
  const { volumes, momentMs } = await promotion.promote(named(...NAMES), LOCAL_ASKER, null);
  expect(volumes.map(({ manifest }) => [manifest.name, following(manifest)])).toEqual(NAMES.map((name) => [name, null]));
  expect(momentMs).toBe(1_000);
});

test('the plan takes over only with the last moment, and again after an interruption', async () => {
  const order = sourceOrder({ handOver: HAND_OVER });
  const at = LANE;
  const momentsOf = <T>(snapshots: readonly T[]) => ({ snapshots, moments: snapshots });
  const facts = (numbers: readonly number[], isPromoted = false, wanted: string | null = REVERSE) =>
    order.members.map(({ id }, index) => ({
      sourceId: id,
      volumeId: `f${index}`,
      isPromoted,
      wanted,
      peer: 'oslo',
      inUse: new Set<string>(),
      name: 'db',
      universe: 0,
      members: order.members.map((one) => one.id),
      ...momentsOf(
        numbers.includes(index)
          ? [
              {
                id: `own${index}`,
                name: 'last',
                createdMs: 1_000,
                replication: order.replication,
                origin: { snapshot: uuid(String(index + 3)), group: GROUP },
                group: { id: GROUP, poolId: '', volumeId: '' },
              },
            ]
          : [],
      ),
    }));
  expect(nextStep(order, facts([0]), at).kind).toBe('pull');
  expect(nextStep(order, facts([0, 1]), at)).toEqual({ kind: 'take-over', handOver: HAND_OVER });
  expect(nextStep(order, facts([0, 1], true), at).kind).toBe('take-over');
  expect(nextStep({ ...order, handOver: null }, facts([0, 1], true), at)).toMatchObject({ kind: 'stuck', word: 'split' });
  // Nothing is wanted here any more, so that the source may open again; what was promoted by a command leaves it closed.
  const closed = { ...order, granted: REVERSE };
  expect(nextStep(closed, facts([0, 1], false, null), at)).toEqual({ kind: 'release', granted: REVERSE });
  expect(nextStep(closed, facts([0, 1], false, uuid('7')), at)).toEqual({ kind: 'release', granted: REVERSE });
  expect(nextStep(closed, facts([0, 1], true, null), at)).toMatchObject({ kind: 'stuck', word: 'closed' });
  const open = { ...order, handOver: null, granted: null, confirmed: GROUP };
  expect(nextStep(open, facts([0, 1]), at)).toEqual({ kind: 'grant', wanted: REVERSE });
  expect(nextStep(open, facts([0, 1]), { ...at, mayAskGrant: false }).kind).toBe('wait');
});

/** Demotes volumes in favour of a peer with these orders. */
function demotion(orders: readonly ReplicationOrder[]): Demotion {
  const { verbs, snapshots } = s.scene;
  const ranges = [{ offsetBytes: 0, lengthBytes: 4096 }];
  const differences = {
    difference: (_volume: unknown, _before: unknown, _after: unknown, _from: number, to: number) =>
      Promise.resolve({ ranges, endBytes: to }),
  };
  // A client that could open a volume now would write what no snapshot has.
  const snapshotUnserved: typeof snapshots.snapshotUnserved = (wanted) => {
    for (const { name } of wanted) if (s.scene.served.has(`${name}@0`)) throw new Error(`${name} is served`);
    return snapshots.snapshotUnserved(wanted);
  };
  return new Demotion({ verbs, snapshots: { snapshotUnserved }, differences, ordersOf: (peer) => (peer === 'oslo' ? orders : []) });
}

/** Returns the order of a peer whose volumes were promoted from these: its snapshots are copies of those of this server. */
async function promotedOrder(): Promise<ReplicationOrder> {
  for (const name of NAMES) await s.scene.create({ name });
  await s.begin(NAMES);
  const { snapshots } = await s.moment();
  const order = sourceOrder();
  const copies = order.moments[0]!.snapshots.map((one, index) => ({ ...one, origin: snapshots[index]?.id ?? '' }));
  return { ...order, moments: [{ group: GROUP, momentMs: 1_000, place: null, snapshots: copies }] };
}

test('an old source follows the volumes with which it has a moment in common, and keeps its content', async () => {
  const order = await promotedOrder();
  const made = demotion([order]);
  expect(await made.lostBytes(made.plan(named(...NAMES), 'oslo', LOCAL_ASKER))).toBe(2 * 4096);
  const kept = await made.demote(named(...NAMES), 'oslo', LOCAL_ASKER);
  expect(manifests().map((one) => following(one)?.sourceId)).toEqual([uuid('1'), uuid('2')]);
  expect(NAMES.map((name) => s.snapshotsOf(name).includes(kept))).toEqual([true, true]);
  expect([s.all, manifests().map((one) => one.replication)]).toEqual([[], [undefined, undefined]]);
});

test('an old source can be promoted again before it has a new moment, and gets the moment in common', async () => {
  const order = await promotedOrder();
  const content = (name: string): Buffer => volumeContent(s.scene, name);
  const common = NAMES.map(content);
  for (const name of NAMES) writeVolume(s.scene, name, Buffer.alloc(content(name).length, 7));
  await demotion([order]).demote(named(...NAMES), 'oslo', LOCAL_ASKER);
  const { volumes } = await new Promotion(s.scene.verbs, s.scene.snapshots).promote(named(...NAMES), LOCAL_ASKER, null);
  expect(volumes.map(({ manifest }) => following(manifest))).toEqual([null, null]);
  expect(NAMES.map((name, index) => content(name).equals(common[index]!))).toEqual([true, true]);
});

test('a demotion that was interrupted goes on with the volumes that do not follow yet', async () => {
  const order = await promotedOrder();
  failing.isOn = true;
  await expect(demotion([order]).demote(named(...NAMES), 'oslo', LOCAL_ASKER)).rejects.toThrow('EIO');
  expect(manifests().map((one) => following(one) !== null)).toEqual([true, false]);
  expect([...s.scene.served.keys()].length).toBe(2);
  const [kept] = s.snapshotsOf('log').filter((name) => name.startsWith('before-demotion-'));
  time.later(1_000);
  const made = demotion([order]);
  expect(await made.lostBytes(made.plan(named(...NAMES), 'oslo', LOCAL_ASKER))).toBe(4096);
  await made.demote(named(...NAMES), 'oslo', LOCAL_ASKER);
  expect(manifests().map((one) => following(one)?.sourceId)).toEqual([uuid('1'), uuid('2')]);
  expect(NAMES.map((name) => s.snapshotsOf(name).includes(kept ?? ''))).toEqual([true, true]);
  expect(() => made.plan(named(...NAMES), 'oslo', LOCAL_ASKER)).toThrow('follow server oslo already');
});

test('a volume without a moment in common gets no second one beside it after an interrupted demotion', async () => {
  for (const name of NAMES) await s.scene.create({ name });
  const order = sourceOrder();
  failing.isOn = true;
  await expect(demotion([order]).demote(named(...NAMES), 'oslo', LOCAL_ASKER)).rejects.toThrow('EIO');
  expect(manifests().map((one) => following(one) !== null)).toEqual([true, false]);
  await expect(followers.create(order, order.members[1]!, { name: 'oslo', pools: null })).rejects.toMatchObject({
    code: 'E_EXISTS',
    message: expect.stringContaining('rsadm volume demote db log --for oslo goes on with the demotion'),
  });
});

test('volumes are refused that are held or are not all of the order, and so is a peer that hands over itself', async () => {
  const order = await promotedOrder();
  const plan =
    (names: readonly string[], orders = [order], peer = 'oslo') =>
    () =>
      demotion(orders).plan(named(...names), peer, LOCAL_ASKER);
  expect(plan(['db'])).toThrow('name all of them');
  expect(plan(NAMES, [order], 'bergen')).toThrow('replicates no volumes to this server');
  const unrelated = {
    ...order,
    moments: order.moments.map((one) => ({ ...one, snapshots: one.snapshots.map((each) => ({ ...each, origin: null })) })),
  };
  // A person names them: their content is kept, and then everything is compared.
  expect(plan(NAMES, [unrelated])()).toMatchObject({ pairs: [{ base: null }, { base: null }] });
  const others = { ...unrelated, members: unrelated.members.map((one) => ({ ...one, name: `other-${one.name}` })) };
  expect(plan(NAMES, [others])).toThrow('have a moment or the name of db, log');
  expect(plan(NAMES, [{ ...order, granted: REVERSE }])).toThrow('replicates no volumes to this server');
  s.scene.used.add(s.volume('log').manifest.id);
  expect(plan(NAMES)).toThrow('is in use');
});

test('a follower with the name of an old source says which command makes that one the follower', async () => {
  const order = await promotedOrder();
  await expect(followers.create(order, order.members[0]!, { name: 'oslo', pools: null })).rejects.toMatchObject({
    code: 'E_EXISTS',
    message: expect.stringContaining('rsadm volume demote db log --for oslo makes it the follower'),
  });
});

test('a volume that is named twice is refused before a clone is made or a role changes', async () => {
  await follow(2);
  const twice = named('db', 'db', 'log');
  const promotion = new Promotion(s.scene.verbs, s.scene.snapshots);
  await expect(promotion.promote(twice, LOCAL_ASKER, null)).rejects.toThrow('Volume db is given twice: give each volume once');
  const drill = promotion.drill(twice, '-drill', LOCAL_ASKER, null, WHOLE_TURN);
  await expect(drill).rejects.toThrow('Volume db is given twice');
  expect(s.scene.served.has('db-drill@0')).toBe(false);
  expect(() => demotion([sourceOrder()]).plan(twice, 'oslo', LOCAL_ASKER)).toThrow('Volume db is given twice');
});

// Regression: a follower whose mate was lost for ever could never be promoted.
test('a follower whose mate is in no pool any more is promoted, unless the mate may be in what cannot be read', async () => {
  await follow(2);
  const [db, log] = manifests();
  for (const one of [db!, log!]) {
    const { follower } = one;
    s.scene.pools.put('fast', { ...one, follower: { ...follower!, members: [...follower!.members, uuid('8')] } });
  }
  const [promotion, all] = [new Promotion(s.scene.verbs, s.scene.snapshots), named(...NAMES)];
  expect(promotion.wholeGroup(all, LOCAL_ASKER).isIncomplete).toBe(true);
  const [fast] = s.scene.pools.states;
  (fast!.unreadable as Set<string>).add(uuid('8'));
  const unknown = {
    code: 'E_POOL',
    message: expect.stringMatching(/^1 of the 3 followers are not there: pool fast .*rsadm pool check fast/),
  };
  await expect(promotion.promote(all, LOCAL_ASKER, null)).rejects.toMatchObject(unknown);
  (fast!.unreadable as Set<string>).clear();
  const { volumes } = await promotion.promote(all, LOCAL_ASKER, null);
  expect(volumes.map(({ manifest }) => following(manifest))).toEqual([null, null]);
});

test('no follower is made while a volume that may be it cannot be read', async () => {
  const order = sourceOrder();
  (s.scene.pools.states[0]!.unreadable as Set<string>).add(uuid('8'));
  await expect(followers.create(order, order.members[0]!, { name: 'oslo', pools: null })).rejects.toMatchObject({ code: 'E_POOL' });
  expect(s.scene.pools.states[0]!.volumes.size).toBe(0);
});

test('a promotion first frees the room that a later moment has taken', async () => {
  await follow(2);
  const [db] = manifests();
  const { file } = await followers.prepare(db!.id, { ...sourceOrder().moments[0]!.snapshots[0]!, id: uuid('7') }, null);
  expect(existsSync(file)).toBe(true);
  const interrupted = new Promotion(s.scene.verbs, s.scene.snapshots).promote(named(...NAMES), LOCAL_ASKER, null, () => {
    throw new Error(existsSync(file) ? 'the room is still taken' : 'the room is free');
  });
  await expect(interrupted).rejects.toThrow('the room is free');
});

test('a follower without a moment can be removed, and one with a moment cannot', async () => {
  await follow(1);
  await expect(new Promotion(s.scene.verbs, s.scene.snapshots).promote(named(...NAMES), LOCAL_ASKER, null)).rejects.toThrow(
    'no complete moment',
  );
  await expect(s.scene.verbs.remove(named('db')[0]!, LOCAL_ASKER, null)).rejects.toThrow('rsadm volume promote db');
  const removed = await s.scene.verbs.remove(named('log')[0]!, LOCAL_ASKER, null);
  expect(removed.manifest.name).toBe('log');
});

// Regression: promotion and take-over named an order that was refused, so that no site served after a restore of the files of a follower.
test('a follower whose files were restored by a copy is promoted by the order that the refusal names', async () => {
  await follow(2);
  const data = poolPaths.data(poolPaths.volume(s.scene.pools.states[0]!.path, followers.of(uuid('9'))[0]!.manifest.id));
  copyFileSync(data, `${data}.copy`);
  renameSync(`${data}.copy`, data);
  const promotion = new Promotion(s.scene.verbs, { clone: () => Promise.reject(new Error('No clone')) });
  const promote = () =>
    promotion.promote(
      NAMES.flatMap((name) => named(name)),
      LOCAL_ASKER,
      null,
    );
  const refused = await promote().then(
    () => '',
    (error: Error) => error.message,
  );
  const [, name = '', sameContent = ''] = /volume set (\S+) same-content=(\S+)/.exec(refused) ?? [];
  await s.scene.verbs.set({ name, universe: 0 }, { sameContent }, LOCAL_ASKER, null);
  expect((await promote()).volumes.map(({ manifest }) => following(manifest))).toEqual([null, null]);
});

test('a promotion without a complete moment names the way out for each follower', async () => {
  const order = sourceOrder();
  for (const member of order.members) await followers.create(order, member, { name: 'oslo', pools: null });
  const promotion = new Promotion(s.scene.verbs, s.scene.snapshots);
  await expect(promotion.promote(named(...NAMES), LOCAL_ASKER, null)).rejects.toThrow(
    'if its source is lost, rsadm volume remove db removes it',
  );
});

test('a follower that lacks its name says how the volume with the name gets another one', async () => {
  await s.scene.create({ name: 'log' });
  const order = sourceOrder();
  await expect(followers.create(order, order.members[1]!, { name: 'oslo', pools: null })).rejects.toMatchObject({
    code: 'E_EXISTS',
    message: 'Volume log exists: the follower needs its name, and rsadm volume rename log NEW gives the volume another one',
  });
});
