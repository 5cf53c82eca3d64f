// A mirror of a simulated world: its replicas, its oracle, the client that makes the mirror, and a user at each client. After the faults,
// one user reads the whole mirror and detaches it. Then the replicas in sync must be equal, and the intent maps of these replicas must be
// empty. Invariant: worlds without mirrors do not depend on this file.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { COPY_RETRY_MAX_MS } from '@rsio/protocol/mirror/limits';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import type { StoredConfig } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { SimClock } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import { HangJudge } from './hang-judge.ts';
import { MirrorOracle } from './mirror-oracle.ts';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimServer } from '../machines/sim-server.ts';
import { SimVolume } from '../machines/sim-volume.ts';
import { SimStorage, type StorageShape } from '../storage/sim-storage.ts';
import { MirrorUser, RETURN_MAX_MS } from './mirror-user.ts';
import { SimFounder } from './sim-founder.ts';
import { SimReplica } from '../votes/sim-replica.ts';

export interface MirrorWorld {
  readonly clock: SimClock;
  readonly trace: Trace;
  readonly random: SeededRandom;
  readonly clients: readonly SimClient[];
  readonly servers: readonly SimServer[];
  /** All volumes of the world, to which the replicas are added. */
  readonly volumes: SimVolume[];
  readonly storage: StorageShape;
  /** Whether routes of the world lose packets all the time. */
  readonly isLossy: boolean;
  /** Whether users of the mirror have many I/Os in flight, and pause little. */
  readonly isDense: boolean;
}

const NAME = 'm0';
/** Number of I/Os of all users together. */
const IOS = 600;
const DENSE_IOS = 100_000;
/** Sectors between the places of most I/O in a dense world. */
const DENSE_STEP = 32;
/** An I/O hangs if it waits for longer than this without a named reason; sim-judge.ts says why the time suffices. */
const HANG_MS = 25_000;
const LOSSY_HANG_MS = 25_000;
/** Content of a new disk. */
const NOT_WRITTEN = 0x77;
/** `forceChance`: chance of a take-over by force after a failed attach. `detachChance`: chance of a detach before the next I/O. */
const CHANCES = { forceChance: 0.08, detachChance: 0.01 };
const DENSE_CHANCES = { forceChance: 0.03, detachChance: 0.0005 };
const THREE_REPLICAS_CHANCE = 0.3;

export class SimMirror {
  readonly replicas: readonly SimVolume[];
  readonly users: readonly MirrorUser[];
  readonly breaches: string[] = [];
  /** Number of replicas that had not returned when the last user detached. */
  late = 0;
  disksLost = 0;
  private readonly lost = new Set<string>();
  private readonly hangs: HangJudge[];
  private readonly id: string;
  private readonly world: MirrorWorld;
  private readonly oracle: MirrorOracle;
  private isFounded = false;
  private isCompared = false;
  private isHealed = false;

  constructor(world: MirrorWorld, sectors: number) {
    this.world = world;
    const { random, servers, trace, clients } = world;
    this.id = random.bytes(16).toString('hex');
    this.oracle = new MirrorOracle(sectors, (sector) => this.replicas.some(({ forgotten }) => forgotten.has(sector)));
    this.oracle.breached = (sentence) => {
      trace.say(`!! ${NAME}: ${sentence}`);
      this.breaches.push(`${NAME}: ${sentence}`);
    };
    const chosen = random.chance(THREE_REPLICAS_CHANCE) ? servers : servers.slice(0, 2);
    this.replicas = chosen.map((server) => this.addReplica(server, sectors));
    this.users = clients.map((client) => this.addUser(client, sectors));
    this.hangs = clients.map(() => new HangJudge(HANG_MS + (world.isLossy ? LOSSY_HANG_MS : 0), COPY_RETRY_MAX_MS));
    this.found(sectors * SECTOR_BYTES);
  }

  get hasWorked(): boolean {
    return this.isFounded && this.users.every((user) => user.hasWorked);
  }

  get isDone(): boolean {
    const last = this.users.find(({ isLast }) => isLast);
    if (this.isHealed && this.isDead) return this.isLeft();
    if (!this.hasWorked) return false;
    if (last === undefined) {
      const chosen = this.users.find(({ volume }) => volume !== null) ?? this.users[0]!;
      chosen.isLast = true;
      return false;
    }
    if (!last.isDone || this.users.some(({ isAttaching }) => isAttaching)) return false;
    // An attach that was still in progress has given the mirror to another user. That other user becomes the last user instead of the
    // chosen one.
    const later = this.users.find(({ volume, isLast }) => volume !== null && !isLast);
    if (later !== undefined) {
      last.isLast = false;
      later.isLast = true;
      return false;
    }
    if (!this.isCompared) this.compare();
    this.isCompared = true;
    for (const user of this.users) user.isDone = true;
    return true;
  }

  get completed(): number {
    return this.sum(({ completed }) => completed);
  }

  /**
   * Number of times that users got the mirror. The getter `takeOvers` counts the times by force, and `losses` counts the losses that users
   * have noticed.
   */
  get attaches(): number {
    return this.sum(({ attaches }) => attaches);
  }

  get takeOvers(): number {
    return this.sum(({ takeOvers }) => takeOvers);
  }

  get losses(): number {
    return this.sum(({ losses }) => losses);
  }

  /** Expects that no I/O of a user hangs while the mirror names no reason. */
  look(nowMs: number): void {
    const isGood = this.replicas.every(({ storage }) => storage.isGood);
    const failedMs = this.failedMs;
    for (const [at, user] of this.users.entries()) {
      const { oldestMs, isTold } = user;
      const hangsMs = this.hangs[at]!.hangsMs({ oldestMs, isTold, failedMs, isGood: isGood && user.isGood }, nowMs);
      if (hangsMs !== null) this.breaches.push(`${NAME}: an I/O waits for ${Math.round(hangsMs)} ms, and nobody says why: ${user.state}`);
    }
  }

  /** The machine of this server has crashed and has lost the disk of its replica, unless the replica was the last one in sync. */
  loseDisk(serverid: number): void {
    const { trace } = this.world;
    const volume = this.replicas.find((one) => one.serverid === serverid);
    const inSync = this.highest()?.config.inSync ?? [];
    const isAnotherThere = this.replicas.some(
      (one) => one !== volume && !one.isSuspended && inSync.includes(one.replica?.mark?.identity ?? ''),
    );
    if (volume === undefined || volume.isSuspended || !isAnotherThere) return;
    const identity = volume.replica?.mark?.identity ?? null;
    if (identity === null) return;
    this.lost.add(identity);
    this.disksLost++;
    volume.suspend(true);
    for (const buffer of [volume.storage.content, volume.storage.cache.disk]) buffer.fill(NOT_WRITTEN);
    if (trace.isOn) trace.say(`-- the disk of ${volume.id} is lost, identity ${identity}`);
  }

  /**
   * Whether all disks with a replica in sync are lost. All disks may be lost, because a holder may have removed the other replicas from the
   * set in sync just before the last disk was lost.
   */
  private get isDead(): boolean {
    const inSync = this.highest()?.config.inSync ?? [];
    return inSync.length > 0 && inSync.every((identity) => this.lost.has(identity));
  }

  /** Stops the users of a dead mirror. Returns true if no attach is in progress. */
  private isLeft(): boolean {
    for (const user of this.users) user.isDone = true;
    return this.users.every(({ isAttaching }) => !isAttaching);
  }

  heal(): void {
    this.isHealed = true;
    // The remaining I/O of the users need not be done.
    for (const user of this.users) user.stop();
  }

  judgeEnd(): void {
    if (this.isDead) return;
    this.breaches.push(`${NAME}: is not read and detached although all is well: ${this.users.map(({ state }) => state).join('; ')}`);
  }

  private sum(of: (user: MirrorUser) => number): number {
    return this.users.reduce((sum, user) => sum + of(user), 0);
  }

  private get failedMs(): number {
    return Math.max(...this.replicas.map(({ storage }) => storage.failedMs));
  }

  private addReplica(server: SimServer, sectors: number): SimVolume {
    const { clock, random, storage: shape, trace, volumes, clients } = this.world;
    const id = `${server.name}-${NAME}`;
    const replica = new SimReplica(id, sectors * SECTOR_BYTES, shape, random, clock);
    const storage = new SimStorage(sectors, shape, random, clock);
    const volume = new SimVolume(NAME, server.serverid, volumes.length + 1, storage, storage, trace, null, replica);
    volume.whenLost = () => this.oracle.crashed();
    for (const { names } of clients) volume.readers.add(names.node);
    volumes.push(volume);
    server.machine.add(volume);
    return volume;
  }

  private addUser(client: SimClient, sectors: number): MirrorUser {
    const { random, trace, clients, isDense } = this.world;
    const boundary = MIRROR_REGION_BYTES / SECTOR_BYTES;
    const user = new MirrorUser(
      {
        random,
        trace,
        client,
        name: NAME,
        oracle: this.oracle,
        isFounded: () => this.isFounded,
        isLost: (identity) => this.lost.has(identity),
        failedMs: () => this.failedMs,
        hot: isDense ? everyPlace(sectors) : sectors > boundary ? [0, boundary - 12, boundary + 4] : [0],
        depth: random.pick(isDense ? [64, 128, 256] : [1, 4, 8]),
        ...(isDense ? DENSE_CHANCES : CHANCES),
        thinkMs: random.pick(isDense ? [0.5, 1, 2] : [5, 20, 60]),
      },
      Math.ceil((isDense ? DENSE_IOS : IOS) / clients.length),
    );
    client.followers.add(user);
    user.begin(client.process);
    return user;
  }

  private found(sizeBytes: number): void {
    const { clients, servers } = this.world;
    const [client] = clients;
    const founder = new SimFounder({
      client: client!,
      mirror: this.id,
      name: NAME,
      sizeBytes,
      voters: servers.map(({ serverid }) => serverid),
      replicas: this.replicas.map(({ serverid }) => serverid),
      founded: () => {
        this.isFounded = true;
        if (this.world.trace.isOn) this.world.trace.say(`${NAME} is founded`);
      },
    });
    client!.followers.add(founder);
    founder.begin(client!.process);
  }

  private highest(): StoredConfig | null {
    const { servers } = this.world;
    const stored = servers.flatMap(({ machine }) => machine.votes?.recordOf(this.id)?.stored ?? []);
    return stored.reduce<StoredConfig | null>((best, one) => (best === null || isLater(one, best) ? one : best), null);
  }

  /**
   * Called after a clean end. Expects that the config of the highest version is clean, and that the replicas that it names as in sync are
   * equal.
   */
  private compare(): void {
    const highest = this.highest();
    if (highest === null || !highest.config.clean) {
      this.breaches.push(`${NAME}: M13: the last client has detached, and the highest config is not clean`);
      return;
    }
    const { inSync, members } = highest.config;
    const equal = this.replicas.filter(({ replica }) => inSync.includes(replica?.mark?.identity ?? ''));
    if (equal.length < inSync.length) this.breaches.push(`${NAME}: M2: a replica in sync is not there`);
    const [first, ...others] = equal;
    for (const other of others)
      if (first?.storage.content.equals(other.storage.content) === false)
        this.breaches.push(`${NAME}: M7: the replicas of server ${first.serverid} and ${other.serverid} are in sync and differ`);
    for (const { storage, serverid } of equal)
      if (storage.cache.hasDirty) this.breaches.push(`${NAME}: M13: server ${serverid} has not written everything back after a clean end`);
    const late = members.filter(({ identity }) => !inSync.includes(identity) && !this.lost.has(identity)).length;
    if (late > 0) this.judgeLate(late);
  }

  /**
   * Judges late replicas. On routes that lose packets, a replica may be late without a fault: a copy begins again after each failure of a
   * path, and may therefore never end.
   */
  private judgeLate(count: number): void {
    this.late = count;
    const what = `${NAME}: ${count} replicas had not returned when it was detached`;
    this.world.trace.say(what);
    if (!this.world.isLossy && this.users.some((user) => user.isLast && user.hasWaited))
      this.breaches.push(`M12: ${what}, although all was well for ${RETURN_MAX_MS} ms`);
  }
}

function everyPlace(sectors: number): number[] {
  return Array.from({ length: Math.ceil(sectors / DENSE_STEP) }, (_unused, at) => at * DENSE_STEP);
}

function isLater(one: StoredConfig, than: StoredConfig): boolean {
  return (compareTerms(one.term, than.term) || one.config.k - than.config.k) > 0;
}
