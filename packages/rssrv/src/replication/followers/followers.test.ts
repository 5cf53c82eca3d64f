// Tests the lanes of a server with followers: which peer has the lane of a replication, when the next lane may begin, and how the calls and
// pulls of lanes share the peers. The peers are stand-ins. replication-lives.test.ts tests the steps of one lane.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import { followed, OfferedSource, OfferingPeers, seen, settled } from '../../testing/offering-peers.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { LANE_CALLS_PER_PEER_MAX } from '../limits.ts';

usePoolDirectory();

let s: OfferingPeers;
const db = (): OfferedSource => new OfferedSource(1, ['db']);

beforeEach(async () => {
  const scene = await PoolScene.open(directory, { clock: new FakeClock() });
  scenes.push(scene);
  s = new OfferingPeers(scene);
});

test('when a shared pool moves, the replication goes on at its new owner with what differs', async () => {
  const source = db();
  await followed(s, source, 17);
  s.peers.oslo.offers.clear();
  s.peers.bergen.offer(source, 18);
  await s.poll();
  await s.poll();
  await seen(() => [s.lanes, s.state, s.leftAt]).toEqual([['bergen'], ['db bergen 1'], ['oslo bergen']]);
  await s.nextMoment();
  await seen(() => [s.state, s.pulls.slice(1)]).toEqual([['db bergen 2'], ['bergen db difference']]);
  await seen(() => s.followers.views()).toMatchObject([{ peer: 'bergen', state: 'waiting' }]);
  await seen(() => s.warned).toEqual([]);
});

test('a later owner of a shared pool has the replication as soon as the owner before is gone', async () => {
  const source = db();
  await followed(s, source, 17);
  s.peers.bergen.offer(source, 18);
  await s.poll();
  // The first owner still says that it has the pool.
  await seen(() => s.lanes).toEqual(['oslo']);
  s.peers.oslo.isConnected = false;
  await s.poll();
  await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 1']]);
  // It returns as an owner that has lost the pool without knowing it.
  s.peers.oslo.isConnected = true;
  await s.poll();
  await s.nextMoment();
  await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 2']]);
});

test.each([
  ['of a pool that is not shared', null, null],
  ['of an earlier owner', 17, 16],
  ['of the same generation', 17, 17],
])('an offer %s has no lane while the first peer is gone', async (_, first, second) => {
  const source = db();
  await followed(s, source, first);
  s.peers.bergen.offer(source, second);
  s.peers.oslo.isConnected = false;
  await s.poll();
  await s.poll();
  await seen(() => [s.lanes, s.state]).toEqual([['oslo'], ['db oslo 1']]);
  await seen(() => s.warned.filter((text) => text.includes('is ignored'))).toHaveLength(first === null ? 1 : 0);
  if (first !== null) return;
  expect(s.warned[0]).toContain('rsadm peer remove oslo');
  s.configured = s.configured.slice(1);
  await s.poll();
  await s.poll();
  await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 1']]);
});

test('after a restart, a copied pool is not followed before the peer of the followers has answered', async () => {
  const source = db();
  await followed(s, source, null);
  await s.followers.stop();
  s.restart();
  s.peers.oslo.isConnected = false;
  s.peers.bergen.offer(source);
  s.followers.start();
  await settled();
  await seen(() => [s.lanes, s.state, s.warned.length]).toEqual([[], ['db oslo 1'], 1]);
  s.peers.oslo.isConnected = true;
  await s.poll();
  await seen(() => s.lanes).toEqual(['oslo']);
  s.peers.oslo.offers.clear();
  await s.poll();
  await s.poll();
  await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 1']]);
});

test('a copied pool does not get the lane when a promotion has failed', async () => {
  const source = db();
  await followed(s, source, null);
  s.peers.bergen.offer(source);
  s.configured = s.configured.toReversed();
  await s.followers.whileQuiet(source.id, () => Promise.reject(new Error('refused'))).catch(() => undefined);
  await s.poll();
  await seen(() => s.lanes).toEqual(['oslo']);
});

test('the next lane begins, and a promotion goes on, only when the pull of the lane before has stopped', async () => {
  const source = db();
  await followed(s, source, 17);
  s.holdsPulls = true;
  await s.nextMoment();
  await seen(() => s.pulls.slice(1)).toEqual(['oslo db difference']);
  s.peers.oslo.offers.clear();
  s.peers.bergen.offer(source, 18);
  await s.poll();
  await s.poll();
  let isQuiet = false;
  const quiet = s.followers.whileQuiet(source.id, async () => void (isQuiet = true));
  await s.poll();
  expect([isQuiet, s.lanes, s.pulls.slice(2)]).toEqual([false, [], []]);
  for (const gate of s.gates.values()) gate.open();
  s.holdsPulls = false;
  await quiet;
  await s.poll();
  await seen(() => [s.lanes, s.pulls.slice(2), s.state]).toEqual([['bergen'], ['bergen db difference'], ['db bergen 2']]);
});

test('no lane begins in a pool that this server is giving up, also when its peer comes back meanwhile', async () => {
  const source = db();
  await followed(s, source, null);
  await s.followers.stop();
  s.restart();
  s.peers.oslo.isConnected = false;
  s.followers.start();
  await settled();
  source.moment(s.clock.wallMs());
  let isOver: () => void = () => undefined;
  const leaving = s.followers.whilePoolQuiet('fast', () => new Promise<void>((resolve) => (isOver = resolve)));
  s.peers.oslo.isConnected = true;
  await s.poll();
  expect([s.lanes, s.pulls.slice(1)]).toEqual([[], []]);
  isOver();
  await leaving;
  await s.poll();
  await seen(() => [s.lanes, s.pulls.slice(1)]).toEqual([['oslo'], ['oslo db difference']]);
});

test('calls of many replications wait for each other, and the poll does not wait', async () => {
  s.holdsCalls = true;
  const sources = Array.from({ length: LANE_CALLS_PER_PEER_MAX + 3 }, (_, index) => new OfferedSource(index + 1, [`v${index}`]));
  for (const source of sources) s.peers.oslo.offer(source);
  s.followers.start();
  await settled();
  const { polls } = s.peers.oslo;
  await s.poll();
  await expect
    .poll(() => [s.callsMost, s.callsNow, s.peers.oslo.polls])
    .toEqual([LANE_CALLS_PER_PEER_MAX, LANE_CALLS_PER_PEER_MAX, polls + 1]);
  // A replication that ends while it waits or while the source does not answer is no longer in the way of its promotion.
  for (const { id } of sources) await s.followers.whileQuiet(id, () => Promise.resolve());
  s.holdsCalls = false;
  for (const gate of s.gates.values()) gate.open();
  await s.poll();
  await seen(() => s.state).toEqual(sources.map((_, index) => `v${index} oslo 1`));
  await seen(() => s.warned).toEqual([]);
});

test('the volumes of a moment are pulled at the same time, and an error of one does not end the others', async () => {
  s.holdsPulls = true;
  const source = new OfferedSource(1, ['db', 'log', 'index']);
  s.peers.oslo.offer(source);
  s.followers.start();
  await settled();
  // Two of them begin with nothing, and have the turns of such pulls.
  await seen(() => s.pulls.toSorted()).toEqual(['oslo db whole', 'oslo log whole']);
  const [first] = source.moments;
  s.gates.get(`pull db ${first?.snapshots[0]?.snapshot}`)?.open(new RsError('E_VOLUME', 'a bad block'));
  await settled();
  await expect
    .poll(() => s.followers.views())
    .toMatchObject([{ state: 'copying', text: 'copies volume log, index; volume db fails: a bad block' }]);
  for (const gate of s.gates.values()) gate.open();
  await settled();
  await seen(() => s.state.toSorted()).toEqual(['db oslo 0', 'index oslo 1', 'log oslo 1']);
  await seen(() => s.followers.views()).toMatchObject([{ state: 'failing', text: 'a bad block' }]);
  s.holdsPulls = false;
  await s.poll();
  await seen(() => s.state.toSorted()).toEqual(['db oslo 1', 'index oslo 1', 'log oslo 1']);
  await s.nextMoment();
  await seen(() => s.pulls.slice(4).toSorted()).toEqual(['oslo db difference', 'oslo index difference', 'oslo log difference']);
});

test('a changed limit counts for a pull in progress, which is no failure', async () => {
  s.holdsPulls = true;
  const source = db();
  source.limitBytes = 64;
  s.peers.oslo.offer(source);
  s.followers.start();
  await seen(() => s.pulls).toEqual(['oslo db whole 64/s']);
  source.limitBytes = 128;
  s.holdsPulls = false;
  await s.poll();
  for (const gate of s.gates.values()) gate.open();
  await seen(() => [s.state, s.pulls.slice(1)]).toEqual([['db oslo 1'], ['oslo db whole 128/s']]);
  await seen(() => [s.warned, s.followers.views()[0]?.state]).toEqual([[], 'waiting']);
});

test('a replication that cannot make its followers is shown with the names of the source', async () => {
  const source = new OfferedSource(1, ['db', 'log']);
  source.pool = 'elsewhere';
  s.peers.oslo.offer(source);
  s.followers.start();
  await settled();
  const volumes = ['db', 'log'].map((name) => ({ name, universe: 0 }));
  await seen(() => s.followers.views()).toMatchObject([{ state: 'failing', volumes, momentMs: null }]);
});

test('a demotion does not count on an order that the peer has ended since the last poll', async () => {
  await followed(s, db(), null);
  s.peers.oslo.offers.clear();
  expect(s.followers.ordersOf('oslo')).toHaveLength(1);
  await s.followers.refresh('oslo');
  expect(s.followers.ordersOf('oslo')).toEqual([]);
  await s.followers.refresh('elsewhere');
});

test('a demotion is refused while the peer does not say what it offers', async () => {
  await followed(s, db(), null);
  s.peers.oslo.isConnected = false;
  await expect(s.followers.refresh('oslo')).rejects.toMatchObject({ code: 'E_UNREACHABLE', message: expect.stringContaining('peer list') });
  s.peers.oslo.isConnected = true;
  await s.followers.refresh('oslo');
});

test('a demotion does not count on the answer to a poll that began before it', async () => {
  await followed(s, db(), null);
  s.holdsPolls = true;
  s.followers.start();
  await settled();
  s.peers.oslo.offers.clear();
  s.holdsPolls = false;
  const refreshed = s.followers.refresh('oslo');
  s.gates.get('poll oslo')!.open();
  await refreshed;
  expect(s.followers.ordersOf('oslo')).toEqual([]);
});
