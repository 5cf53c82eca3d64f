// Tests the lanes of a server with followers: which peer has the lane of a replication, when the next lane may begin, and how the calls and
// pulls of lanes share the peers. The peers are stand-ins. replication-lives.test.ts tests the steps of one lane.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { ReplicationOrder } from '@rsio/common/control/server/replication-methods';
import { RsError } from '@rsio/common/lib/errors';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { beforeEach, describe, expect, test } from 'vitest';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene } from '../../testing/pool-scene.ts';
import { LANE_CALLS_PER_PEER_MAX, REPLICATION_POLL_MS } from '../limits.ts';
import type { Pull } from '../peers/peers.ts';
import { Followers } from './followers.ts';
import { FollowerVerbs } from './follower-verbs.ts';

usePoolDirectory();

const EVERY_MS = 60_000;
const SIZE_BYTES = 4096;
const POOL_ID = 'shared-pool';
const uuid = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** Returns the id of a volume of a source. */
const idOf = (name: string): string => `00000000-0000-4000-9000-${Buffer.from(name).toString('hex').padStart(12, '0')}`;

/** A source whose volumes several peers may offer. */
class Source {
  readonly id: string;
  readonly names: readonly string[];
  readonly moments: ReplicationOrder['moments'][number][] = [];
  /** True if the peers are the servers of a mirror, whose client makes the moments. */
  isMirror = false;
  confirmed: string | null = null;
  /** Pool of the followers. */
  pool = 'fast';
  keep = 9;
  private lastId: number;

  constructor(number: number, names: readonly string[]) {
    this.id = uuid(number * 1_000);
    this.names = names;
    this.lastId = number * 1_000;
  }

  /** `generation`: of its shared pool; null if its pool is not shared. */
  order(generation: number | null): ReplicationOrder {
    const members = this.names.map((name) => ({ id: idOf(name), name, universe: 0, sizeBytes: SIZE_BYTES, blockSizeBytes: 512 }));
    const settings = {
      replication: this.id,
      pool: this.pool,
      everyMs: EVERY_MS,
      keep: this.keep,
      limitBytes: null,
      problem: null,
      handOver: null,
      isMirror: this.isMirror,
    };
    const shared = generation === null ? null : { poolId: POOL_ID, generation };
    return { ...settings, shared, members, moments: [...this.moments], confirmed: this.confirmed };
  }

  moment(momentMs: number): ReplicationOrder['moments'][number] {
    const facts = { sizeBytes: SIZE_BYTES, blockSizeBytes: 512, origin: null };
    const moment = {
      group: uuid(++this.lastId),
      momentMs,
      place: this.isMirror ? { term: 1, number: this.moments.length + 1 } : null,
      snapshots: this.names.map((name) => ({ ...facts, volumeId: idOf(name), id: uuid(++this.lastId), snapshot: `m${momentMs}` })),
    };
    this.moments.push(moment);
    return moment;
  }

  confirm(group: string): void {
    this.confirmed = group;
  }
}

/** A peer that offers sources. */
class Peer {
  isConnected = true;
  polls = 0;
  /** Number of the newest moments that this server of a mirror lacks, and the moments that were confirmed at it. */
  behind = 0;
  readonly confirmed: string[] = [];
  readonly offers = new Map<Source, number | null>();

  orderOf(source: Source, generation: number | null): ReplicationOrder {
    const order = source.order(generation);
    if (!source.isMirror) return order;
    const moments = order.moments.slice(0, order.moments.length - this.behind).slice(-source.keep);
    return { ...order, moments, confirmed: this.confirmed.at(-1) ?? null };
  }

  offer(source: Source, generation: number | null = null): void {
    this.offers.set(source, generation);
  }
}

interface Gate {
  readonly open: (error?: Error) => void;
}

class Scene {
  readonly clock = new FakeClock();
  readonly peers = { oslo: new Peer(), bergen: new Peer() };
  readonly pulls: string[] = [];
  readonly warned: string[] = [];
  readonly leftAt: string[] = [];
  configured: readonly PeerConfig[] = (['oslo', 'bergen'] as const).map((name) => peerConfig(name));
  followers: Followers;
  /** While true, pulls end only when their gate is opened, even if they are cancelled. */
  holdsPulls = false;
  /** While true, the peers answer no call of a lane. */
  holdsCalls = false;
  readonly gates = new Map<string, Gate>();
  callsNow = 0;
  callsMost = 0;
  private readonly target: PoolScene;

  constructor(target: PoolScene) {
    this.target = target;
    this.followers = this.newFollowers();
  }

  restart(): void {
    this.followers = this.newFollowers();
  }

  private newFollowers(): Followers {
    const { target } = this;
    const verbs = new FollowerVerbs(target.verbs);
    let last: Promise<unknown> = Promise.resolve();
    const change = <T>(work: () => Promise<T>): Promise<T> => {
      const next = last.then(work);
      last = next.catch(() => undefined);
      return next;
    };
    return new Followers({
      clock: this.clock,
      log: { info: () => undefined, debug: () => undefined, warn: (text) => void this.warned.push(text) },
      peers: {
        call: (name, method, params) => this.call(this.peerOf(name), method, params as { replication: string; group: string }),
        pull: (name, pull, _progress, cancel) => this.pull(name, pull, cancel),
        state: (name) => ({ name, isConnected: this.peerOf(name).isConnected, pathsUp: 1, sinceMs: 0, trouble: null }),
        closeLeft: async (name, at) => void this.leftAt.push(`${at} ${name}`),
      },
      configured: () => this.configured,
      marked: () =>
        target.pools.states.flatMap((pool) =>
          [...pool.volumes.values()].flatMap((manifest) => (manifest.follower ? { pool, manifest } : [])),
        ),
      ...{ verbs, snapshots: target.snapshots, change, isRead: () => false, takeOver: () => Promise.resolve([]) },
    });
  }

  private peerOf(name: string): Peer {
    return name === 'oslo' ? this.peers.oslo : this.peers.bergen;
  }

  private async call(peer: Peer, method: string, { replication, group }: { replication: string; group: string }): Promise<unknown> {
    if (!peer.isConnected) throw new RsError('E_UNREACHABLE', 'no path');
    const nowMs = this.clock.wallMs();
    if (method === 'replication-poll') {
      peer.polls++;
      return { nowMs, orders: [...peer.offers].map(([source, generation]) => peer.orderOf(source, generation)) };
    }
    this.callsMost = Math.max(this.callsMost, ++this.callsNow);
    if (this.holdsCalls) await this.gate(`${replication} ${method}`);
    this.callsNow--;
    const source = [...peer.offers.keys()].find(({ id }) => id === replication);
    if (source === undefined) throw new RsError('E_UNKNOWN_VOLUME', 'no such replication');
    if (method === 'replication-moment') return { moment: source.moment(nowMs), nowMs };
    source.confirm(group);
    peer.confirmed.push(group);
    return { removed: 0 };
  }

  private async pull(name: string, { volume, since, snapshot }: Pull, cancel: AbortSignal): Promise<void> {
    this.pulls.push(`${name} ${volume.name} ${since === null ? 'whole' : 'difference'}`);
    if (this.holdsPulls) await this.gate(`pull ${volume.name} ${snapshot.name}`);
    if (cancel.aborted) throw new RsError('E_RESET', 'cancelled');
  }

  private gate(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.gates.set(name, { open: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  }

  /** Polls now, and lets everything that needs no further time happen. */
  async poll(): Promise<void> {
    this.clock.advance(REPLICATION_POLL_MS);
    await settled();
    this.clock.advance(0);
    await settled();
  }

  async nextMoment(): Promise<void> {
    for (let passedMs = 0; passedMs < EVERY_MS; passedMs += REPLICATION_POLL_MS) {
      this.clock.advance(REPLICATION_POLL_MS);
      await settled(10);
    }
    await settled();
  }

  /** For each follower: its name, the peer in its manifest, and the number of its moments. */
  get state(): readonly string[] {
    return this.target.pools.states.flatMap((pool) =>
      [...pool.volumes.values()].map(({ id, name, follower }) => `${name} ${follower?.peer} ${pool.snapshots.get(id)?.list.length ?? 0}`),
    );
  }

  get lanes(): readonly string[] {
    return (['oslo', 'bergen'] as const).filter((name) => this.followers.ordersOf(name).length > 0);
  }
}

function peerConfig(name: string): PeerConfig {
  const fixed = { addresses: [], namespaceid: 0, nodename: 'target', nodekey: 'k', serverkey: null, tls: false, digest: false };
  return { ...fixed, name, pools: null, line: 1 };
}

/** Lets steps on files end. */
async function settled(turns = 60): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => void setTimeout(resolve, 0));
}

/** Waits until the state is the expected one. */
const seen = <T>(state: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(state, { timeout: 20_000, interval: 10 });

let s: Scene;
const db = (): Source => new Source(1, ['db']);

beforeEach(async () => {
  const scene = await PoolScene.open(directory, { clock: new FakeClock() });
  scenes.push(scene);
  s = new Scene(scene);
});

async function following(source: Source, generation: number | null): Promise<void> {
  s.peers.oslo.offer(source, generation);
  s.followers.start();
  await settled();
  await seen(() => [s.state, s.pulls, s.warned]).toEqual([['db oslo 1'], ['oslo db whole'], []]);
}

test('when a shared pool moves, the replication goes on at its new owner with what differs', async () => {
  const source = db();
  await following(source, 17);
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
  await following(source, 17);
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
  await following(source, first);
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
  await following(source, null);
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
  await following(source, null);
  s.peers.bergen.offer(source);
  s.configured = s.configured.toReversed();
  await s.followers.whileQuiet(source.id, () => Promise.reject(new Error('refused'))).catch(() => undefined);
  await s.poll();
  await seen(() => s.lanes).toEqual(['oslo']);
});

test('the next lane begins, and a promotion goes on, only when the pull of the lane before has stopped', async () => {
  const source = db();
  await following(source, 17);
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
  await following(source, null);
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
  const sources = Array.from({ length: LANE_CALLS_PER_PEER_MAX + 3 }, (_, index) => new Source(index + 1, [`v${index}`]));
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
  const source = new Source(1, ['db', 'log', 'index']);
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

describe('a mirror', () => {
  let source: Source;
  beforeEach(async () => {
    source = db();
    source.isMirror = true;
    source.moment(s.clock.wallMs());
    s.peers.bergen.offer(source);
    await following(source, null);
  });

  async function nextMoment(): Promise<void> {
    source.moment(s.clock.wallMs());
    await s.nextMoment();
  }

  test('is followed at one of its servers, and the other one learns what is confirmed', async () => {
    await nextMoment();
    await seen(() => [s.lanes, s.state, s.pulls.slice(1)]).toEqual([['oslo'], ['db oslo 2'], ['oslo db difference']]);
    await s.poll();
    const groups = source.moments.map(({ group }) => group);
    await seen(() => [s.peers.oslo.confirmed, s.peers.bergen.confirmed.at(-1), s.warned]).toEqual([groups, groups[1], []]);
  });

  test('is followed at the other server with what differs when the first one is gone, and also after a restart', async () => {
    s.peers.oslo.isConnected = false;
    await nextMoment();
    await s.poll();
    await seen(() => [s.lanes, s.state, s.pulls.slice(1)]).toEqual([['bergen'], ['db bergen 2'], ['bergen db difference']]);
    await s.followers.stop();
    s.restart();
    s.peers.oslo.isConnected = true;
    s.peers.bergen.isConnected = false;
    s.followers.start();
    await settled();
    await nextMoment();
    await seen(() => [s.lanes, s.state, s.warned]).toEqual([['oslo'], ['db oslo 3'], []]);
  });

  test('is followed at the server that has newer moments, because the replica of the other one is out of sync', async () => {
    s.peers.oslo.behind = 1;
    await nextMoment();
    await s.poll();
    // One moment may be on its way.
    await seen(() => [s.lanes, s.state]).toEqual([['oslo'], ['db oslo 1']]);
    for (let moments = 2; moments <= 3; moments++) {
      s.peers.oslo.behind = moments;
      await nextMoment();
    }
    await s.poll();
    await s.poll();
    await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 2']]);
  });

  describe('whose second server was away for longer than moments are kept', () => {
    beforeEach(async () => {
      source.keep = 3;
      for (let moments = 0; moments < 3; moments++) await nextMoment();
      await s.poll();
      s.peers.bergen.isConnected = false;
      for (let moments = 0; moments < 5; moments++) {
        s.peers.bergen.behind++;
        await nextMoment();
      }
      await s.poll();
      s.peers.bergen.isConnected = true;
    });
    const newestMs = (): number | null | undefined => s.followers.views()[0]?.momentMs;

    test('stays at the first server', async () => {
      for (let polls = 0; polls < 4; polls++) await s.poll();
      await seen(() => [s.lanes, newestMs(), s.pulls.filter((pull) => pull.startsWith('bergen'))]).toEqual([
        ['oslo'],
        source.moments.at(-1)?.momentMs,
        [],
      ]);
      await s.followers.stop();
      s.restart();
      s.followers.start();
      await settled();
      for (let polls = 0; polls < 4; polls++) await s.poll();
      await seen(() => [s.lanes, newestMs(), s.warned]).toEqual([['oslo'], source.moments.at(-1)?.momentMs, []]);
    });

    test('has earlier moments, which never become the newest ones of the followers', async () => {
      s.peers.oslo.isConnected = false;
      for (let polls = 0; polls < 4; polls++) await s.poll();
      const newest = source.moments.at(-1)?.momentMs;
      await seen(() => [s.lanes, newestMs(), s.pulls.filter((pull) => pull.startsWith('bergen'))]).toEqual([['bergen'], newest, []]);
      // The server may make moments again, although its last ones are never copied.
      await seen(() => s.peers.bergen.confirmed.at(-1)).toBe(source.moments.at(-6)?.group);
      await seen(() => s.followers.views()[0]?.text).toContain('out of sync');
      s.peers.oslo.isConnected = true;
      await s.poll();
      await s.poll();
      await seen(() => s.lanes).toEqual(['oslo']);
    });

    test('learns that its moments are not needed any more', async () => {
      s.peers.bergen.confirmed.length = 0;
      await s.poll();
      await s.poll();
      await seen(() => [s.lanes, s.peers.bergen.confirmed.at(-1)]).toEqual([['oslo'], source.moments.at(-6)?.group]);
    });
  });
});

test('a replication that cannot make its followers is shown with the names of the source', async () => {
  const source = new Source(1, ['db', 'log']);
  source.pool = 'elsewhere';
  s.peers.oslo.offer(source);
  s.followers.start();
  await settled();
  const volumes = ['db', 'log'].map((name) => ({ name, universe: 0 }));
  await seen(() => s.followers.views()).toMatchObject([{ state: 'failing', volumes, momentMs: null }]);
});

test('a demotion does not count on an order that the peer has ended since the last poll', async () => {
  await following(db(), null);
  s.peers.oslo.offers.clear();
  expect(s.followers.ordersOf('oslo')).toHaveLength(1);
  await s.followers.refresh('oslo');
  expect(s.followers.ordersOf('oslo')).toEqual([]);
  await s.followers.refresh('elsewhere');
});
