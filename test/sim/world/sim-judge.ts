// Judges a simulated world. While the world runs, the judge looks for an I/O that hangs although it could be served. At the end, the judge
// checks that everything was answered and that nothing is left (slots, window, handles, buffers, timers). The oracle judges the contents
// of volumes. Invariant: the judge observes and changes nothing.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { SEGMENT_MIN_BYTES } from '@rsio/protocol/client/limits';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { DRAINING_VALID_MS } from '@rsio/rsiod/volumes/limits';
import type { Path } from '@rsio/protocol/client/paths/path';
import type { SlotTable } from '@rsio/protocol/link/slot-table';
import type { Trunk } from '@rsio/protocol/client/trunk';
import type { Session } from '@rsio/rssrv/session/session';
import { IdleJudge } from '../judges/idle-judge.ts';
import type { SimClient, Use } from '../machines/sim-client.ts';
import type { SimRoute } from '../network/sim-network.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimSession } from '../machines/sim-session.ts';
import type { WorldShape } from './sim-shape.ts';
import { LATE_MAX_MS } from '../storage/sim-storage.ts';
import type { SimUser } from '../machines/sim-user.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import type { SimWorld } from './sim-world.ts';
import { POOLED_MAX } from './sim-manager.ts';
import { STORED_MAX } from './sim-store-manager.ts';
import { type JudgedSlots, TrunkJudge } from '../judges/trunk-judge.ts';

interface DispatcherInside {
  readonly slots: JudgedSlots & { readonly quarantined: number; quarantinedOn(path: number): number };
  readonly windowUsedBytes: number;
}

const LOOK_MS = 100;
/**
 * An I/O hangs if it waits for longer than this while a route between its client and its server works, the storage is fast and no process
 * is stopped. The time suffices to find a connection dead, to connect again after the longest back-off, and to replace a session.
 */
const HANG_MS = 25_000;
/**
 * Additional time on routes that always lose packets. On these routes, attempts to connect may run into time-outs, and the pauses between
 * attempts grow.
 */
const LOSSY_HANG_MS = 25_000;

/** Maximum expected length of a chain of overlapping I/Os, each of which waits for the previous one. */
const CHAIN = 4;

/**
 * If one path is up the whole time, some I/O must end within this time. If a second path fails, its requests are sent again as soon as the
 * path is suspect, and its slots are free as soon as the path is dead. A single I/O may wait longer for its turn.
 */
const GAP_WITH_PATH_MS = 7_000;

/**
 * Time for which a suspect path may keep more than a quarter of the slots in quarantine, until the worst paths are found and fenced (S6).
 */
const QUARANTINE_MS = 500;

/**
 * A client may wait for this time after a server has told it to retry. The time is long, because the message may take a long time to
 * arrive.
 */
const WORD_LASTS_MS = PROOF_TIMEOUT_MS + DRAINING_VALID_MS;

/** What the judge has seen of one volume as used by one client. */
interface Watch {
  readonly client: SimClient;
  readonly server: SimServer;
  readonly use: Use;
  /** Time since which no fault hinders the I/O of this client on this volume. Infinity: a fault hinders it now. */
  goodSinceMs: number;
  /** Like `goodSinceMs`, but counted only while one and the same path has stayed up. */
  pathSinceMs: number;
  /** Paths that were up at the last check. If none of these paths is up now, there may have been a moment without any path. */
  up: readonly Path[];
}

export class Judge {
  private readonly world: SimWorld;
  private readonly breaches: string[];
  private readonly watches: Watch[] = [];
  /** For each trunk: time since which suspect paths have kept too many slots. */
  private readonly crowded = new Map<Trunk, number>();
  private readonly trunkJudges = new WeakMap<Trunk, TrunkJudge>();
  private readonly idle = new IdleJudge();
  private nextLookMs = 0;
  private isHanging = false;

  constructor(world: SimWorld, breaches: string[]) {
    this.world = world;
    this.breaches = breaches;
    for (const client of world.clients) this.watch(client);
  }

  watch(client: SimClient): void {
    for (const use of client.uses) this.watchUse(client, use);
  }

  watchUse(client: SimClient, use: Use): void {
    const server = this.world.servers.find(({ serverid }) => serverid === use.serverid)!;
    this.watches.push({ client, server, use, goodSinceMs: Number.POSITIVE_INFINITY, pathSinceMs: Number.POSITIVE_INFINITY, up: [] });
  }

  /**
   * Whether everything is answered, every slot is free, and no request executes. A server may still execute a request for which no client
   * waits: the client is dead, or was replaced and its session has not ended yet. The world also waits until the server has ended that
   * request.
   */
  get isQuiet(): boolean {
    const { users, servers } = this.world;
    const isAnswered = users.every((user) => !user.isBusy) && this.trunks.every((trunk) => occupied(trunk) === 0);
    return isAnswered && servers.every((server) => staying(server).every(({ session }) => executing(session) === 0));
  }

  /** Looks for I/O that hangs. This function may be called after each event, because most calls return at once. */
  look(): void {
    const nowMs = this.world.clock.monotonicMs();
    if (nowMs < this.nextLookMs || this.isHanging) return;
    this.nextLookMs = nowMs + LOOK_MS;
    for (const watch of this.watches) this.lookAt(watch, nowMs);
    for (const volume of this.world.volumes) this.lookAtLosses(volume);
    this.world.mirrors?.look(nowMs);
    for (const client of this.world.clients) {
      for (const user of client.users) {
        this.lookAtStall(client, user, nowMs);
        const forgottenMs = this.idle.forgottenMs(client.isGood ? user.volume : null, nowMs);
        if (forgottenMs !== null)
          this.breaches.push(`${user.name}: nothing is out for ${Math.round(forgottenMs)} ms, and unanswered is ${user.oldest}`);
      }
      for (const { trunk } of client.namespaces.flatMap(({ servers }) => [...servers.values()])) {
        this.lookAtSlots(trunk, client.isGood, nowMs);
        this.lookAtTrunk(client, trunk, nowMs);
      }
    }
  }

  /** Judges the world after the last fault and the time to recover. */
  quiet(): void {
    for (const user of this.world.users) {
      if (user.outstanding > 0 && !user.isReplaced)
        this.breaches.push(`${user.name}: ${user.outstanding} I/Os are unanswered at the end: ${user.oldest}`);
    }
    for (const trunk of this.trunks) {
      const { slots, windowUsedBytes } = insideOf(trunk);
      if (occupied(trunk) > 0) this.breaches.push(`${occupied(trunk)} slots are not free at the end, ${slots.quarantined} in quarantine`);
      if (windowUsedBytes !== 0) this.breaches.push(`The window is ${windowUsedBytes} bytes at the end`);
    }
    for (const server of this.world.servers) {
      for (const { session, node } of staying(server)) {
        const open: Map<number, unknown> = Reflect.get(Reflect.get(session, 'volumes'), 'open');
        const left = executing(session);
        if (open.size > this.volumesOf(server, node)) this.breaches.push(`${server.name} has ${open.size} handles open for ${node}`);
        if (left !== 0) this.breaches.push(`${left} requests are executing at ${server.name} at the end`);
      }
    }
  }

  /** Clients that have not learned yet that another client has their volume. */
  get unheard(): string[] {
    const deaf = this.world.users.filter(
      ({ target, volume, epoch, isReplaced }) => volume !== null && !isReplaced && target.judge.lostMs(epoch) !== null,
    );
    return deaf.map(({ name }) => name);
  }

  /** Judges the world after every client and server has ended cleanly. */
  closed(): void {
    for (const client of this.world.clients) {
      const { bodies, outputs } = client.pools;
      if (bodies.lent.size > 0) this.breaches.push(`${bodies.lent.size} body buffers of ${client.name} are not back`);
      if (outputs.lent.size > 0) this.breaches.push(`${outputs.lent.size} output buffers of ${client.name} are not back`);
      if (!client.process.isKilled && client.process.timersPending > 0)
        this.breaches.push(`${client.process.timersPending} timers of ${client.name} are left`);
    }
    for (const server of this.world.servers) {
      if (server.sessions.size > 0) this.breaches.push(`${server.sessions.size} sessions of ${server.name} do not end`);
      if (server.listener.timersPending > 0) this.breaches.push(`${server.listener.timersPending} timers of ${server.name} are left`);
    }
  }

  private volumesOf({ serverid }: SimServer, node: string): number {
    const { users } = this.world;
    const own = users.filter((user) => user.node === node && user.target.serverid === serverid).map(({ target }) => target);
    return new Set(own).size + (this.world.mirrors?.replicasOf(serverid) ?? 0);
  }

  private lookAtLosses({ name, serverid, storage, losses }: SimVolume): void {
    const isGood = storage.isGood && this.world.servers.some((server) => server.serverid === serverid && server.isGood);
    const late = losses.look(isGood ? LOOK_MS : 0, storage.openings);
    if (late === null) return;
    this.breaches.push(`V1: ${name}: ${late}`);
    losses.noticed();
  }

  private lookAtStall({ isGood }: SimClient, user: SimUser, nowMs: number): void {
    const server = this.world.servers.find(({ serverid }) => serverid === user.target.serverid);
    const slowSaidMs = server?.slowSaidMs.get(user.node) ?? Number.NEGATIVE_INFINITY;
    const lateMs = user.stall.overdueMs(isGood ? user.volume : null, Math.max(user.oldestMs, slowSaidMs + WORD_LASTS_MS), nowMs);
    if (lateMs !== null)
      this.breaches.push(`E2: ${user.name} waits ${Math.round(lateMs)} ms longer than its stall ${user.policy}: ${user.oldest}`);
  }

  private lookAtSlots(trunk: Trunk, isGood: boolean, nowMs: number): void {
    const { slots } = insideOf(trunk);
    const holder = trunk.paths.find((path) => path.isSuspect && slots.quarantinedOn(path.number) > 0);
    if (!isGood || holder === undefined || slots.quarantined <= slots.size / 4) {
      this.crowded.delete(trunk);
      return;
    }
    const sinceMs = this.crowded.get(trunk) ?? nowMs;
    this.crowded.set(trunk, sinceMs);
    if (nowMs - sinceMs <= QUARANTINE_MS) return;
    this.crowded.delete(trunk);
    this.breaches.push(
      `S6: ${slots.quarantined} of ${slots.size} slots are in quarantine for ${Math.round(nowMs - sinceMs)} ms, path ${holder.number} is suspect and holds ${slots.quarantinedOn(holder.number)}`,
    );
  }

  private lookAtTrunk(client: SimClient, trunk: Trunk, nowMs: number): void {
    const { times, user } = this.world.shape;
    const judge = this.trunkJudges.get(trunk) ?? new TrunkJudge(times, Math.min(SEGMENT_BYTES, user.largeSectors * SECTOR_BYTES));
    this.trunkJudges.set(trunk, judge);
    if (!client.isGood) judge.forget();
    const wrong = client.isGood ? judge.look(trunk.paths, insideOf(trunk).slots, nowMs) : null;
    if (wrong !== null) this.breaches.push(`S2: ${client.name}: ${wrong}`);
  }

  private get trunks(): Trunk[] {
    const { world } = this;
    return world.clients.flatMap((client) =>
      client.namespaces
        .flatMap(({ servers }) => [...servers.values()])
        .filter(({ serverid }) => !world.isReplaced(client, serverid))
        .map(({ trunk }) => trunk),
    );
  }

  private lookAt(watch: Watch, nowMs: number): void {
    const { client, server, use } = watch;
    if (!this.isGood(watch)) {
      watch.goodSinceMs = Number.POSITIVE_INFINITY;
      watch.pathSinceMs = Number.POSITIVE_INFINITY;
      watch.up = [];
      return;
    }
    const up = this.pathsUp(watch);
    if (up.length === 0) watch.pathSinceMs = Number.POSITIVE_INFINITY;
    else if (!up.some((path) => watch.up.includes(path))) watch.pathSinceMs = nowMs;
    watch.up = up;
    if (watch.goodSinceMs === Number.POSITIVE_INFINITY) watch.goodSinceMs = nowMs;
    const { oldestMs, oldest, endedMs } = use.user;
    const waitedMs = nowMs - Math.max(oldestMs, watch.goodSinceMs);
    const gapMs = nowMs - Math.max(oldestMs, endedMs, watch.pathSinceMs);
    const { shape } = this.world;
    const gapMaxMs = GAP_WITH_PATH_MS + turnsMs(shape, 1);
    const hangMs = HANG_MS + (shape.isLossy ? LOSSY_HANG_MS : 0) + CHAIN * turnsMs(shape, shape.user.depth);
    if (waitedMs <= hangMs && gapMs <= gapMaxMs) return;
    this.isHanging = true;
    const what =
      gapMs > gapMaxMs
        ? `no I/O ends for ${Math.round(gapMs)} ms although a path is up`
        : `an I/O waits for ${Math.round(waitedMs)} ms although nothing stands in its way`;
    this.breaches.push(`${client.name} to ${server.name}: ${what}: ${oldest}`);
  }

  /** Paths that are up, whose route works, and whose connection has lost no bytes. */
  private pathsUp({ client, server, use }: Watch): Path[] {
    return client.namespaceOf(use.user).routes.flatMap(({ local, remote, supervisor: { state, path } }) => {
      const links = this.goodRoute(local.address, remote.address, server)?.living ?? [];
      const isUp = state === 'up' && links.some((link) => !link.isLost && link.client === path?.connection.transport);
      return isUp && path !== null ? [path] : [];
    });
  }

  private isGood({ client, server, use }: Watch): boolean {
    const { target, isReplaced } = use.user;
    if (!client.isGood || !server.isGood || !target.storage.isGood || target.form !== null || isReplaced) return false;
    if (target.isStored && (target.config === null || target.isSuspended)) return false;
    return client.namespace.routes.some(({ local, remote }) => this.goodRoute(local.address, remote.address, server) !== null);
  }

  private goodRoute(localAddress: string, address: string, server: SimServer): SimRoute | null {
    if (!server.addresses.includes(address)) return null;
    const route = this.world.network.routeOf(localAddress, address);
    return route !== null && route.goodSinceMs !== Number.POSITIVE_INFINITY ? route : null;
  }
}

/**
 * Returns for how long (ms) the last request may wait for its turn if there are few slots and the storage is often late. Assumes `depth`
 * I/Os in flight on every volume, each with all its segments.
 */
function turnsMs({ volumes, hasPools, hasStores, user, storage, slots }: WorldShape, depth: number): number {
  const all = volumes + (hasPools ? POOLED_MAX : 0) + (hasStores ? STORED_MAX : 0);
  const segments = Math.ceil((user.largeSectors * SECTOR_BYTES) / SEGMENT_MIN_BYTES);
  return (all * depth * segments * storage.lateChance * LATE_MAX_MS) / 2 / (slots - SLOTS_RESERVED);
}

function insideOf(trunk: Trunk): DispatcherInside {
  return Reflect.get(trunk, 'dispatcher');
}

function occupied(trunk: Trunk): number {
  const { slots } = insideOf(trunk);
  return slots.size - slots.freeCount;
}

/** Sessions that are not ending. An ending session waits for its requests; its end is judged when the world closes. */
function staying({ sessions }: SimServer): SimSession[] {
  return [...sessions.values()].filter(({ isEnding }) => !isEnding);
}

function executing(session: Session): number {
  const slots: SlotTable = Reflect.get(session, 'slots');
  return slots.executing;
}
