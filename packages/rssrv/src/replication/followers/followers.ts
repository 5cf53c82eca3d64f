// The replications to this server: polls each peer for its orders, and has a lane for each order. Invariants: one lane for each
// replication; the next one begins only when no step of the one before runs. A lane ends when its source has ended the replication, when
// the peer is no longer configured, when another peer owns the pool of the source, and before a promotion. Followers never vanish with
// their order: they stay until they are promoted. Rules: T8.

import { REPLICATION_REPORTS_MAX } from '@rsio/common/control/limits';
import { type ReplicationOrder, COPYING_METHODS } from '@rsio/api/rssrv/replication-methods';
import type { ReplicationView } from '@rsio/api/views/views';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { Timer } from '@rsio/base/lib/clock';
import { assert, counted } from '@rsio/base/lib/assert';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import { following } from '../../pools/follower-rules.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';
import { madeMs } from '../../pools/snapshots/snapshot-record.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import { MomentAges } from '../../snapshots/moment-ages.ts';
import {
  LANE_CALLS_PER_PEER_MAX,
  PULLS_PER_PEER_MAX,
  REPLICATION_CALL_MS,
  REPLICATION_POLL_MS,
  WHOLE_PULLS_PER_PEER_MAX,
} from '../limits.ts';
import type { Peers } from '../peers/peers.ts';
import { commonGroups, confirmedAt, copiesOf, isAhead, isLaterOwner } from './follower-plan.ts';
import { checkedAnswer, FollowerLane, type LanePorts } from './follower-lane.ts';
import { PeerTurns } from './peer-turns.ts';

export interface FollowersPorts extends Omit<LanePorts, 'pullTurns' | 'callTurns' | 'peers'> {
  readonly peers: Pick<Peers, 'call' | 'pull' | 'closeLeft' | 'state'>;
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
  /** Lanes that were told to end, and may still execute a step. */
  private readonly leaving = new Map<string, FollowerLane>();
  /** Replications that a promotion keeps from getting a lane. */
  private readonly quieted = new Map<string, number>();
  /** Pools in which nothing may change a follower, for replications that get their first lane meanwhile. */
  private readonly quietPools: string[] = [];
  private timer: Timer | null = null;
  private hasStopped = false;
  /** Polls that have not ended, by peer. */
  private readonly polling = new Map<string, Promise<boolean>>();
  /** Maps a peer to the replications in its last answer to a poll, with the orders of mirrors. */
  private readonly offers = new Map<string, ReadonlyMap<string, ReplicationOrder | null>>();
  /** Maps a replication to the last peer whose order was refused because another peer has it. */
  private readonly refused = new Map<string, string>();
  /** Servers and mirrors for which a confirmation has not ended. */
  private readonly confirming = new Set<string>();
  private readonly stopping = new AbortController();

  private readonly ages: MomentAges;

  constructor(ports: FollowersPorts) {
    this.ports = ports;
    this.ages = new MomentAges(ports.clock);
  }

  /** Polls all peers now, and again after every REPLICATION_POLL_MS. */
  start(): void {
    if (this.hasStopped) return;
    this.timer?.cancel();
    const configured = this.ports.configured();
    for (const peer of this.offers.keys()) if (!configured.some(({ name }) => name === peer)) this.offers.delete(peer);
    for (const lane of this.lanes.values()) if (!configured.some(({ name }) => name === lane.peer)) void this.drop(lane);
    for (const peer of configured) void this.poll(peer);
    this.timer = this.ports.clock.after(REPLICATION_POLL_MS, () => this.start());
  }

  async stop(): Promise<void> {
    this.hasStopped = true;
    this.stopping.abort();
    this.timer?.cancel();
    await Promise.all(this.all.map((lane) => lane.end()));
  }

  /** Returns the orders that the peer had at the last poll; none if it was not reached yet. */
  ordersOf(peer: string): readonly ReplicationOrder[] {
    return [...this.lanes.values()].filter((lane) => lane.peer === peer).map(({ order }) => order);
  }

  /**
   * Polls the peer, so that `ordersOf` has what the peer offers now. Throws E_UNREACHABLE if the peer does not answer. A peer that is not
   * configured has no orders.
   */
  async refresh(peer: string): Promise<void> {
    // A poll that has begun may bring what the peer had before.
    await this.polling.get(peer);
    const config = this.ports.configured().find(({ name }) => name === peer);
    if (config === undefined || (await this.poll(config))) return;
    const trouble = this.ports.peers.state(peer)?.trouble ?? 'see rsadm peer list';
    throw new RsError('E_UNREACHABLE', `Server ${peer} does not say what it replicates to this server now: ${trouble}`, { peer });
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
      if (lane !== undefined) void this.drop(lane);
      await this.leaving.get(replication)?.end();
      return await work();
    } finally {
      const left = counted((this.quieted.get(replication) ?? 0) - 1, 'orders that keep a replication quiet');
      if (left === 0) this.quieted.delete(replication);
      else this.quieted.set(replication, left);
    }
  }

  /** Executes `work` while nothing changes a follower in the pool. */
  async whilePoolQuiet<T>(pool: string, work: () => Promise<T>): Promise<T> {
    const quiet = ([next, ...others]: readonly string[]): Promise<T> =>
      next === undefined ? work() : this.whileQuiet(next, () => quiet(others));
    this.quietPools.push(pool);
    try {
      return await quiet(this.lanesIn(pool).map(({ order }) => order.replication));
    } finally {
      const at = this.quietPools.indexOf(pool);
      assert(at >= 0, 'A pool is quiet no more before its time');
      this.quietPools.splice(at, 1);
    }
  }

  /** Stops pulls into a pool that this server has lost, without waiting for their end. */
  poolLost(pool: string): void {
    for (const lane of this.lanesIn(pool)) void this.drop(lane);
  }

  private lanesIn(pool: string): readonly FollowerLane[] {
    return this.all.filter(({ order }) => this.isIn(order.replication, pool));
  }

  private isIn(replication: string, pool: string): boolean {
    return this.ports.verbs.of(replication).some((one) => one.pool.name === pool);
  }

  private get all(): readonly FollowerLane[] {
    return [...this.lanes.values(), ...this.leaving.values()];
  }

  /** Resolves with true when the peer has answered, or with false when its answer stays away. At most one poll of a peer runs. */
  private poll(peer: PeerConfig): Promise<boolean> {
    const known = this.polling.get(peer.name);
    if (known !== undefined || !this.isConnected(peer.name)) return known ?? Promise.resolve(false);
    const polled = this.pollNow(peer).finally(() => this.polling.delete(peer.name));
    this.polling.set(peer.name, polled);
    return polled;
  }

  private async pollNow(peer: PeerConfig): Promise<boolean> {
    const { ports } = this;
    try {
      const mine = [...this.lanes.values()].filter((lane) => lane.peer === peer.name);
      const reports = mine.slice(0, REPLICATION_REPORTS_MAX).map((lane) => lane.report);
      const revisions = new Map(mine.map((lane) => [lane, lane.revision]));
      const answer = await ports.peers.call(peer.name, 'replication-poll', { reports }, REPLICATION_CALL_MS);
      const { orders, nowMs } = checkedAnswer(peer.name, 'replication-poll', COPYING_METHODS['replication-poll'].result, answer);
      if (!this.hasStopped) this.take(peer, orders.slice(0, REPLICATION_REPORTS_MAX), nowMs, revisions);
      return true;
    } catch (thrown) {
      ports.log.debug(`Orders of peer ${peer.name} are not known: ${toRsError(thrown).message}`);
      return false;
    }
  }

  private take(peer: PeerConfig, orders: readonly ReplicationOrder[], nowMs: number, revisions: ReadonlyMap<FollowerLane, number>): void {
    const wanted = new Set(orders.map(({ replication }) => replication));
    this.offers.set(peer.name, new Map(orders.map((order) => [order.replication, order.isMirror ? order : null])));
    // Another peer may have the order now.
    for (const lane of this.lanes.values())
      if (lane.peer === peer.name && !wanted.has(lane.order.replication)) void this.drop(lane).then(() => this.soon());
    for (const order of orders) {
      const { replication } = order;
      let lane = this.lanes.get(replication);
      if (lane !== undefined && lane.peer !== peer.name) {
        this.takeFrom(lane, peer, order);
        continue;
      }
      if (this.quieted.has(replication) || this.leaving.has(replication)) continue;
      if (this.quietPools.some((pool) => this.isIn(replication, pool))) continue;
      const keeper = lane === undefined ? this.keeperOf(order, peer) : null;
      if (keeper !== null) {
        if (!order.isMirror) this.refuse(order, peer.name, keeper);
        continue;
      }
      if (lane === undefined) {
        lane = new FollowerLane({ ...this.ports, pullTurns: this.pullTurns, callTurns: this.callTurns }, peer, order);
        this.lanes.set(replication, lane);
      }
      lane.update(peer, order, nowMs, revisions.get(lane) ?? lane.revision);
    }
  }

  /**
   * Ends the lane of an order that another peer has as well, if that one has the shared pool of the source now. A peer that is connected and
   * offers the order keeps it: the pool of the other peer may be a copy.
   */
  private takeFrom(lane: FollowerLane, { name }: PeerConfig, order: ReplicationOrder): void {
    const { shared, isMirror } = lane.lastOrder;
    if (isMirror && order.isMirror) {
      if (!this.isConnected(lane.peer) || isAhead(order, lane.lastOrder)) void this.drop(lane).then(() => this.soon());
      else this.confirmAt(name, order, lane.lastOrder);
      return;
    }
    const isLater = isLaterOwner(order, lane.lastOrder);
    if (isLater && !this.isConnected(lane.peer)) void this.drop(lane).then(() => this.soon());
    // While a shared pool moves, both owners may offer the order for a moment.
    else if (shared === null || order.shared?.poolId !== shared.poolId) this.refuse(order, name, lane.peer);
  }

  /** Tells another server of a mirror which moment the followers have, so that it does not keep earlier ones. */
  private confirmAt(name: string, order: ReplicationOrder, followed: ReplicationOrder): void {
    const { replication } = order;
    const group = confirmedAt(order, followed);
    const key = JSON.stringify([name, replication]);
    if (group === null || this.confirming.has(key)) return;
    this.confirming.add(key);
    const { peers, log } = this.ports;
    const turn = { peer: name, isLong: false, cancel: this.stopping.signal };
    this.callTurns
      .run(turn, () => peers.call(name, 'replication-confirm', { replication, group }, REPLICATION_CALL_MS))
      .catch((thrown: unknown) =>
        log.debug(`Server ${name} does not know which moment of a mirror is copied: ${toRsError(thrown).message}`),
      )
      .finally(() => this.confirming.delete(key));
  }

  /**
   * Returns the peer that the followers name, if it keeps an order that has no lane now: it offers the order, or it has not said yet whether
   * it does. Null: another peer may have a lane.
   */
  private keeperOf(order: ReplicationOrder, { name }: PeerConfig): string | null {
    const { replication, shared, isMirror } = order;
    const known = this.ports.verbs.of(replication).flatMap(({ manifest }) => following(manifest)?.peer ?? []);
    if (isMirror) return this.mirrorKeeperOf(order, name, known);
    const isKeeper = (peer: string): boolean => {
      if (!this.ports.configured().some((one) => one.name === peer)) return false;
      const isOffered = this.offers.get(peer)?.has(replication);
      return shared === null ? isOffered !== false : isOffered === true && this.isConnected(peer);
    };
    return known.includes(name) ? null : (known.find(isKeeper) ?? null);
  }

  /** As above, for a server of a mirror. A server that has moments which this one lacks keeps the order, too. */
  private mirrorKeeperOf(order: ReplicationOrder, name: string, known: readonly string[]): string | null {
    const others = this.ports.configured().flatMap((one) => {
      const theirs = this.isConnected(one.name) ? this.offers.get(one.name)?.get(order.replication) : null;
      return theirs === undefined || theirs === null ? [] : { peer: one.name, theirs };
    });
    const ahead = others.find(({ theirs }) => isAhead(theirs, order));
    if (ahead !== undefined) return ahead.peer;
    const before = others.find(({ peer, theirs }) => known.includes(peer) && !isAhead(order, theirs));
    return known.includes(name) ? null : (before?.peer ?? null);
  }

  private refuse({ replication }: ReplicationOrder, name: string, keeper: string): void {
    if (this.refused.get(replication) === name) return;
    this.refused.set(replication, name);
    this.ports.log.warn(
      `Server ${name} has the replication that this server follows at ${keeper}, and is ignored: if ${keeper} has lost the volumes for ever, ` +
        `rsadm peer remove ${keeper} lets ${name} go on; if the volumes at ${name} are copies, end the replication there`,
    );
  }

  private isConnected(peer: string): boolean {
    return this.ports.peers.state(peer)?.isConnected === true;
  }

  private async drop(lane: FollowerLane): Promise<void> {
    const { replication } = lane.order;
    const isOnly = (other: FollowerLane | undefined): boolean => other === undefined || other === lane;
    assert(isOnly(this.lanes.get(replication)) && isOnly(this.leaving.get(replication)), 'A replication has two lanes');
    this.lanes.delete(replication);
    this.leaving.set(replication, lane);
    this.refused.delete(replication);
    await lane.end();
    if (this.leaving.get(replication) === lane) this.leaving.delete(replication);
  }

  /** Returns what this server shows of its replications: those with an order, and those whose followers are left. */
  views(): readonly ReplicationView[] {
    const left = new Map<string, Found[]>();
    for (const found of this.ports.marked()) {
      const id = found.manifest.follower?.replication ?? '';
      left.set(id, [...(left.get(id) ?? []), found]);
    }
    const ids = new Set([...this.lanes.keys(), ...left.keys()]);
    this.ages.follow(ids);
    return [...ids].map((id) => this.view(id, left.get(id) ?? []));
  }

  private view(id: string, found: readonly Found[]): ReplicationView {
    const { peers } = this.ports;
    const lane = this.lanes.get(id);
    const peer = lane?.peer ?? found[0]?.manifest.follower?.peer ?? '';
    const isConnected = this.isConnected(peer);
    const isPromoted = found.some(({ manifest }) => following(manifest) === null);
    const isHandedOver = (lane?.lastOrder.granted ?? lane?.lastOrder.handOver ?? null) !== null;
    const now = lane?.state === 'waiting' && isHandedOver ? 'handing-over' : lane?.state;
    const isOffered = isConnected && now !== undefined;
    const state = isPromoted && !isOffered ? 'promoted' : !isConnected ? 'absent' : (now ?? (this.offers.has(peer) ? 'ended' : 'waiting'));
    const trouble = peers.state(peer)?.trouble ?? `server ${peer} is not connected: see rsadm peer list`;
    const group = commonGroups(copiesOf(found)).at(-1);
    const moment = found[0] === undefined ? undefined : snapshotsOf(found[0]).list.find((one) => momentIdOf(one) === group);
    const momentMs = moment === undefined ? null : madeMs(moment);
    const order = lane?.order;
    return {
      id,
      direction: 'in',
      peer,
      pool: order?.pool ?? found[0]?.pool.name ?? null,
      // A replication that cannot make its first follower is shown with the volumes of the source.
      volumes: (found.length > 0 ? found.map(({ manifest }) => manifest) : (order?.members ?? [])).map(({ name, universe }) => ({
        name,
        universe,
      })),
      everyMs: order?.everyMs ?? 0,
      keep: order?.keep ?? 0,
      limitBytes: order?.limitBytes ?? null,
      state,
      text: state === 'absent' ? trouble : state === 'ended' ? endedText(found, peer) : (lane?.text ?? ''),
      momentMs,
      ageMs: momentMs === null || group === undefined ? null : this.ages.ageMs(id, group, momentMs),
      doneBytes: lane?.doneBytes ?? 0,
      totalBytes: lane?.totalBytes ?? 0,
      bytesPerSecond: lane?.bytesPerSecond ?? 0,
      nextMs: order === undefined || momentMs === null || state !== 'waiting' ? null : momentMs + order.everyMs,
    };
  }
}

function endedText(found: readonly Found[], peer: string): string {
  const names = found.map(({ manifest }) => volumeText(manifest)).join(' ');
  return `server ${peer} replicates them no more: volume replicate there lets them go on, or rsadm volume promote ${names} makes them ordinary volumes`;
}
