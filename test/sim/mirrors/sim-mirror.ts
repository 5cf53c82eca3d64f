// A mirror of a simulated world: its replicas, the client that makes it, a user of it at each client, and its oracle. When all is well, one
// user reads all of it and detaches; then the replicas in sync must be equal, and their maps empty. Invariant: worlds without mirrors do not
// depend on it.

import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import type { SeededRandom } from '@rsio/common/testing/seeded-random';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import type { StoredConfig } from '@rsio/protocol/wire/mirror/messages';
import { compareTerms } from '@rsio/protocol/wire/mirror/terms';
import type { SimClock } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import { MirrorOracle } from './mirror-oracle.ts';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimServer } from '../machines/sim-server.ts';
import { SimVolume } from '../machines/sim-volume.ts';
import { SimStorage, type StorageShape } from '../storage/sim-storage.ts';
import { MirrorUser } from './mirror-user.ts';
import { SimFounder } from './sim-founder.ts';
import { SimReplica } from '../votes/sim-replica.ts';

export interface MirrorWorld {
  readonly clock: SimClock;
  readonly trace: Trace;
  readonly random: SeededRandom;
  readonly clients: readonly SimClient[];
  readonly servers: readonly SimServer[];
  /** All volumes of the world: the replicas are added. */
  readonly volumes: SimVolume[];
  readonly storage: StorageShape;
}

const NAME = 'm0';
/** I/Os of all users together, and the share that comes after the last fault. */
const IOS = 600;
/** An I/O that waits for longer, while all is well, waits for ever. */
const THREE_REPLICAS_CHANCE = 0.3;

export class SimMirror {
  readonly replicas: readonly SimVolume[];
  readonly users: readonly MirrorUser[];
  readonly breaches: string[] = [];
  private readonly id: string;
  private readonly world: MirrorWorld;
  private readonly oracle: MirrorOracle;
  private isFounded = false;
  private isCompared = false;

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
    this.found(sectors * SECTOR_BYTES);
  }

  get hasWorked(): boolean {
    return this.isFounded && this.users.every((user) => user.hasWorked);
  }

  get isDone(): boolean {
    const last = this.users.find(({ isLast }) => isLast);
    if (!this.hasWorked) return false;
    if (last === undefined) {
      const chosen = this.users.find(({ volume }) => volume !== null) ?? this.users[0]!;
      chosen.isLast = true;
      return false;
    }
    if (!last.isDone || this.users.some(({ isAttaching }) => isAttaching)) return false;
    // One that was just attaching has got the mirror after the last one: now it is the last.
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

  /** Completed I/Os. */
  get completed(): number {
    return this.users.reduce((sum, { completed }) => sum + completed, 0);
  }

  heal(): void {
    // What the users have not done by now is not waited for.
    for (const user of this.users) user.stop();
  }

  judgeEnd(): void {
    this.breaches.push(`${NAME}: is not read and detached although all is well: ${this.users.map(({ state }) => state).join('; ')}`);
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
    const { random, trace, clients } = this.world;
    const boundary = MIRROR_REGION_BYTES / SECTOR_BYTES;
    const user = new MirrorUser(
      {
        ...{ random, trace, client, name: NAME, oracle: this.oracle },
        isFounded: () => this.isFounded,
        failedMs: () => Math.max(...this.replicas.map(({ storage }) => storage.failedMs)),
        hot: sectors > boundary ? [0, boundary - 12, boundary + 4] : [0],
        depth: random.pick([1, 4, 8]),
        thinkMs: random.pick([5, 20, 60]),
      },
      Math.ceil(IOS / clients.length),
    );
    client.followers.add(user);
    user.begin(client.process);
    return user;
  }

  private found(sizeBytes: number): void {
    const { clients, servers } = this.world;
    const [client] = clients;
    const founder = new SimFounder({
      ...{ client: client!, mirror: this.id, name: NAME, sizeBytes },
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

  /** After a clean end: the config of the highest version is clean, and what it says is in sync is equal. */
  private compare(): void {
    const { servers } = this.world;
    const stored = servers.flatMap(({ machine }) => machine.votes?.recordOf(this.id)?.stored ?? []);
    const highest = stored.reduce<StoredConfig | null>((best, one) => (best === null || isLater(one, best) ? one : best), null);
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
    if (inSync.length < members.length)
      this.world.trace.say(`${NAME}: ${members.length - inSync.length} replicas had not returned when it was detached`);
  }
}

function isLater(one: StoredConfig, than: StoredConfig): boolean {
  return (compareTerms(one.term, than.term) || one.config.k - than.config.k) > 0;
}
