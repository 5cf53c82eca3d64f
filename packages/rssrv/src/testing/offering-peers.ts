// Peers that offer sources to a server with followers, for the tests of its lanes. The peers are stand-ins, and the followers are real.
// Invariant: time passes only when a test lets it pass, and a test can hold the answers of peers and the end of pulls.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect } from 'vitest';
import { LOCAL_ASKER } from '../pools/asker.ts';
import { REPLICATION_POLL_MS } from '../replication/limits.ts';
import { Followers } from '../replication/followers/followers.ts';
import { FollowerVerbs } from '../replication/followers/follower-verbs.ts';
import type { Pull } from '../replication/peers/peers.ts';
import type { PoolScene } from './pool-scene.ts';

const EVERY_MS = 60_000;
const SIZE_BYTES = 4096;
const POOL_ID = '00000000-0000-4000-8000-0000000000b0';
const uuid = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** Returns the id of a volume of a source. */
const idOf = (name: string): string => `00000000-0000-4000-9000-${Buffer.from(name).toString('hex').padStart(12, '0')}`;

/** A source whose volumes several peers may offer. */
export class OfferedSource {
  readonly id: string;
  readonly names: readonly string[];
  readonly moments: ReplicationOrder['moments'][number][] = [];
  /** True if the peers are the servers of a mirror, whose client makes the moments. */
  isMirror = false;
  confirmed: string | null = null;
  /** Pool of the followers. */
  pool = 'fast';
  keep = 9;
  limitBytes: number | null = null;
  private lastId: number;
  private term = 1;

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
      limitBytes: this.limitBytes,
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
      place: this.isMirror ? { term: this.term, number: this.moments.length + 1 } : null,
      snapshots: this.names.map((name) => ({ ...facts, volumeId: idOf(name), id: uuid(++this.lastId), snapshot: `m${momentMs}` })),
    };
    this.moments.push(moment);
    return moment;
  }

  /** All servers of a mirror come back from a backup that has this many moments. The next holder has a later term. */
  comesBack(moments: number): void {
    this.moments.length = moments;
    this.term++;
  }

  confirm(group: string): void {
    this.confirmed = group;
  }
}

/** A peer that offers sources. */
export class OfferingPeer {
  isConnected = true;
  polls = 0;
  /** Number of the newest moments that this server of a mirror lacks, and the moments that were confirmed at it. */
  behind = 0;
  readonly confirmed: string[] = [];
  readonly offers = new Map<OfferedSource, number | null>();

  orderOf(source: OfferedSource, generation: number | null): ReplicationOrder {
    const order = source.order(generation);
    if (!source.isMirror) return order;
    const moments = order.moments.slice(0, order.moments.length - this.behind).slice(-source.keep);
    return { ...order, moments, confirmed: this.confirmed.at(-1) ?? null };
  }

  offer(source: OfferedSource, generation: number | null = null): void {
    this.offers.set(source, generation);
  }
}

interface Gate {
  readonly open: (error?: Error) => void;
}

export class OfferingPeers {
  readonly clock = new FakeClock();
  readonly peers = { oslo: new OfferingPeer(), bergen: new OfferingPeer() };
  readonly pulls: string[] = [];
  readonly warned: string[] = [];
  readonly leftAt: string[] = [];
  configured: readonly PeerConfig[] = (['oslo', 'bergen'] as const).map((name) => peerConfig(name));
  followers: Followers;
  /** While true, pulls end only when their gate is opened, even if they are cancelled. */
  holdsPulls = false;
  /** While true, the answers to polls stay away. */
  holdsPolls = false;
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
      verbs,
      snapshots: target.snapshots,
      change,
      isRead: () => false,
      takeOver: () => Promise.resolve(),
    });
  }

  private peerOf(name: string): OfferingPeer {
    return name === 'oslo' ? this.peers.oslo : this.peers.bergen;
  }

  private async call(peer: OfferingPeer, method: string, { replication, group }: { replication: string; group: string }): Promise<unknown> {
    if (!peer.isConnected) throw new RsError('E_UNREACHABLE', 'no path');
    const nowMs = this.clock.wallMs();
    if (method === 'replication-poll') {
      peer.polls++;
      const orders = [...peer.offers].map(([source, generation]) => peer.orderOf(source, generation));
      if (this.holdsPolls) await this.gate(peer === this.peers.oslo ? 'poll oslo' : 'poll bergen');
      return { nowMs, orders };
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

  private async pull(name: string, { volume, since, snapshot, limitBytes }: Pull, cancel: AbortSignal): Promise<void> {
    this.pulls.push(`${name} ${volume.name} ${since === null ? 'whole' : 'difference'}${limitBytes === null ? '' : ` ${limitBytes}/s`}`);
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

  /** Returns the groups of the moments that the follower has. */
  copies(wanted: string): readonly string[] {
    return this.target.pools.states.flatMap((pool) =>
      [...pool.volumes.values()].flatMap(({ id, name }) =>
        name === wanted ? (pool.snapshots.get(id)?.list ?? []).flatMap(({ origin }) => origin?.group ?? []) : [],
      ),
    );
  }

  /** A person removes this moment of the follower. */
  async remove(name: string, group: string): Promise<void> {
    const lists = this.target.pools.states.flatMap(({ snapshots }) => [...snapshots.values()].flatMap(({ list }) => list));
    const snapshot = lists.find(({ origin }) => origin?.group === group)?.name ?? '';
    await this.target.snapshots.remove({ name, universe: 0, snapshot }, LOCAL_ASKER, null);
  }

  get lanes(): readonly string[] {
    return (['oslo', 'bergen'] as const).filter((name) => this.followers.ordersOf(name).length > 0);
  }
}

export function peerConfig(name: string): PeerConfig {
  const fixed = { addresses: [], namespaceid: 0, nodename: 'target', nodekey: 'k', serverkey: null, tls: false, digest: false };
  return { ...fixed, name, pools: null, line: 1 };
}

/** Lets steps on files end. */
export async function settled(turns = 60): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => void setTimeout(resolve, 0));
}

/** Waits until the state is the expected one. */
export const seen = <T>(state: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(state, { timeout: 20_000, interval: 10 });

/** Lets the peer oslo offer a source, and waits until its followers have the first moment. */
export async function followed(s: OfferingPeers, source: OfferedSource, generation: number | null): Promise<void> {
  s.peers.oslo.offer(source, generation);
  s.followers.start();
  await settled();
  await seen(() => [s.state, s.pulls, s.warned]).toEqual([['db oslo 1'], ['oslo db whole'], []]);
}
