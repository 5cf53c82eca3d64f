// The replications to this server: polls each peer for its orders, and has a lane for each order. Invariants: one lane for each
// replication. A lane ends when its source has ended the replication, when the peer is no longer configured, and before a promotion.
// Followers never vanish with their order: they stay until they are promoted.

import { REPLICATION_REPORTS_MAX } from '@rsio/common/control/limits';
import { type ReplicationOrder, type ReplicationView, COPYING_METHODS } from '@rsio/common/control/server/replication-methods';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { Timer } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';
import type { Found } from '../../pools/catalogue.ts';
import { following } from '../../pools/follower-rules.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import {
  LANE_CALLS_PER_PEER_MAX,
  PULLS_PER_PEER_MAX,
  REPLICATION_CALL_MS,
  REPLICATION_POLL_MS,
  WHOLE_PULLS_PER_PEER_MAX,
} from '../limits.ts';
import type { Peers } from '../peers/peers.ts';
import { commonGroups } from './follower-plan.ts';
import { checkedAnswer, FollowerLane, type LanePorts } from './follower-lane.ts';
import { PeerTurns } from './peer-turns.ts';

export interface FollowersPorts extends Omit<LanePorts, 'pullTurns' | 'callTurns' | 'peers'> {
  readonly peers: Pick<Peers, 'call' | 'pull' | 'state'>;
  /** The peers of the configuration in force. */
  configured(): readonly PeerConfig[];
  /** All volumes of open pools that are or were followers. */
  marked(): readonly Found[];
}

export class Followers {
  private readonly ports: FollowersPorts;
  private readonly pullTurns = new PeerTurns(PULLS_PER_PEER_MAX, WHOLE_PULLS_PER_PEER_MAX);
  private readonly callTurns = new PeerTurns(LANE_CALLS_PER_PEER_MAX);
  private readonly lanes = new Map<string, FollowerLane>();
  /** Replications that a promotion keeps from getting a lane. */
  private readonly quieted = new Map<string, number>();
  private timer: Timer | null = null;
  private hasStopped = false;
  private readonly polling = new Set<string>();

  constructor(ports: FollowersPorts) {
    this.ports = ports;
  }

  /** Polls all peers now, and again after every REPLICATION_POLL_MS. */
  start(): void {
    if (this.hasStopped) return;
    this.timer?.cancel();
    const configured = this.ports.configured();
    for (const lane of this.lanes.values()) if (!configured.some(({ name }) => name === lane.peer)) this.drop(lane);
    for (const peer of configured) void this.poll(peer);
    this.timer = this.ports.clock.after(REPLICATION_POLL_MS, () => this.start());
  }

  async stop(): Promise<void> {
    this.hasStopped = true;
    this.timer?.cancel();
    await Promise.all([...this.lanes.values()].map((lane) => lane.end()));
  }

  /** Returns the orders that the peer has now; none if it was not reached yet. */
  ordersOf(peer: string): readonly ReplicationOrder[] {
    return [...this.lanes.values()].filter((lane) => lane.peer === peer).map(({ order }) => order);
  }

  /** Returns the peer whose order this server carries out; null if it is not known. */
  peerOf(replication: string): string | null {
    return this.lanes.get(replication)?.peer ?? null;
  }

  /** Polls the peers soon. */
  soon(): void {
    this.ports.clock.soon(() => this.start());
  }

  /** Executes `work` while nothing changes the followers of the replication. */
  async whileQuiet<T>(replication: string, work: () => Promise<T>): Promise<T> {
    this.quieted.set(replication, (this.quieted.get(replication) ?? 0) + 1);
    try {
      const lane = this.lanes.get(replication);
      this.lanes.delete(replication);
      await lane?.end();
      return await work();
    } finally {
      const left = (this.quieted.get(replication) ?? 1) - 1;
      if (left === 0) this.quieted.delete(replication);
      else this.quieted.set(replication, left);
    }
  }

  /** Executes `work` while nothing changes a follower in the pool. */
  whilePoolQuiet<T>(pool: string, work: () => Promise<T>): Promise<T> {
    const quiet = ([next, ...others]: readonly string[]): Promise<T> =>
      next === undefined ? work() : this.whileQuiet(next, () => quiet(others));
    return quiet(this.lanesIn(pool).map(({ order }) => order.replication));
  }

  /** Stops pulls into a pool that this server has lost, without waiting for their end. */
  poolLost(pool: string): void {
    for (const lane of this.lanesIn(pool)) this.drop(lane);
  }

  private lanesIn(pool: string): readonly FollowerLane[] {
    return [...this.lanes.values()].filter(({ order }) => this.ports.verbs.of(order.replication).some((one) => one.pool.name === pool));
  }

  private async poll(peer: PeerConfig): Promise<void> {
    const { ports } = this;
    if (this.polling.has(peer.name) || ports.peers.state(peer.name)?.isConnected !== true) return;
    this.polling.add(peer.name);
    try {
      const mine = [...this.lanes.values()].filter((lane) => lane.peer === peer.name);
      const reports = mine.slice(0, REPLICATION_REPORTS_MAX).map((lane) => lane.report);
      const revisions = new Map(mine.map((lane) => [lane, lane.revision]));
      const answer = await ports.peers.call(peer.name, 'replication-poll', { reports }, REPLICATION_CALL_MS);
      const { orders, nowMs } = checkedAnswer(peer.name, 'replication-poll', COPYING_METHODS['replication-poll'].result, answer);
      if (!this.hasStopped) this.take(peer, orders.slice(0, REPLICATION_REPORTS_MAX), nowMs, revisions);
    } catch (thrown) {
      ports.log.debug(`Orders of peer ${peer.name} are not known: ${toRsError(thrown).message}`);
    } finally {
      this.polling.delete(peer.name);
    }
  }

  private take(peer: PeerConfig, orders: readonly ReplicationOrder[], nowMs: number, revisions: ReadonlyMap<FollowerLane, number>): void {
    const wanted = new Set(orders.map(({ replication }) => replication));
    for (const lane of this.lanes.values()) if (lane.peer === peer.name && !wanted.has(lane.order.replication)) this.drop(lane);
    for (const order of orders) {
      const { replication } = order;
      if (this.quieted.has(replication)) continue;
      let lane = this.lanes.get(replication);
      // Two peers with one id of a replication: the pool of one of them was copied. The first one keeps the followers.
      if (lane !== undefined && lane.peer !== peer.name) continue;
      if (lane === undefined) {
        lane = new FollowerLane({ ...this.ports, pullTurns: this.pullTurns, callTurns: this.callTurns }, peer, order);
        this.lanes.set(replication, lane);
      }
      lane.update(peer, order, nowMs, revisions.get(lane) ?? lane.revision);
    }
  }

  private drop(lane: FollowerLane): void {
    this.lanes.delete(lane.order.replication);
    void lane.end();
  }

  /** Returns what this server shows of its replications: those with an order, and those whose followers are left. */
  views(): readonly ReplicationView[] {
    const left = new Map<string, Found[]>();
    for (const found of this.ports.marked()) {
      const id = found.manifest.follower?.replication ?? '';
      left.set(id, [...(left.get(id) ?? []), found]);
    }
    const ids = new Set([...this.lanes.keys(), ...left.keys()]);
    return [...ids].map((id) => this.view(id, left.get(id) ?? []));
  }

  private view(id: string, found: readonly Found[]): ReplicationView {
    const { clock, peers } = this.ports;
    const lane = this.lanes.get(id);
    const peer = lane?.peer ?? found[0]?.manifest.follower?.peer ?? '';
    const isConnected = peers.state(peer)?.isConnected === true;
    const isPromoted = found.some(({ manifest }) => following(manifest) === null);
    const state = isPromoted ? 'promoted' : !isConnected ? 'absent' : (lane?.state ?? 'ended');
    const trouble = peers.state(peer)?.trouble ?? `server ${peer} is not connected: see rsadm peer list`;
    const group = commonGroups(found.map((one) => ({ snapshots: snapshotsOf(one).list }))).at(-1);
    const moment = found[0] === undefined ? undefined : snapshotsOf(found[0]).list.find(({ origin }) => origin?.group === group);
    const momentMs = group === undefined ? null : (moment?.createdMs ?? null);
    const order = lane?.order;
    return {
      id,
      direction: 'in',
      peer,
      pool: order?.pool ?? found[0]?.pool.name ?? null,
      volumes: found.map(({ manifest: { name, universe } }) => ({ name, universe })),
      everyMs: order?.everyMs ?? 0,
      keep: order?.keep ?? 0,
      limitBytes: order?.limitBytes ?? null,
      state,
      text: state === 'absent' ? trouble : (lane?.text ?? ''),
      momentMs,
      ageMs: momentMs === null ? null : Math.max(0, clock.wallMs() - momentMs),
      doneBytes: lane?.doneBytes ?? 0,
      totalBytes: lane?.totalBytes ?? 0,
      nextMs: order === undefined || momentMs === null || state !== 'waiting' ? null : momentMs + order.everyMs,
    };
  }
}
