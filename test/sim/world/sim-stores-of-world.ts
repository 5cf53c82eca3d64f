// The pools on simulated file systems of a simulated world: two for each server, with their administrator. This file has its own source of
// random numbers, and decides when a crash follows a step on disk. Invariant: worlds without such pools do not depend on this file.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { printIdentity } from '@rsio/rssrv/pools/disk/manifest';
import { installCalls } from '../files/sim-calls.ts';
import { SimFiles } from '../files/sim-files.ts';
import { closeAll } from '../files/sim-handle.ts';
import { mount, unmountAll } from '../files/sim-mounts.ts';
import { ReaderJudge } from '../judges/reader-judge.ts';
import { SnapshotJudge } from '../judges/snapshot-judge.ts';
import { StoreJudge } from '../judges/store-judge.ts';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimUser } from '../machines/sim-user.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import { SimReader } from '../readers/sim-reader.ts';
import { SimStorage } from '../storage/sim-storage.ts';
import { AWAY_MAX_MS } from './sim-manager.ts';
import { SimStoreManager, STORED_MAX_BYTES } from './sim-store-manager.ts';
import type { SimWorld } from './sim-world.ts';

/** Added to the seed, so that these draws differ from the world's. */
const SALT = 1_000_151;
/** I/Os of each user of a volume. */
const IOS = 250;
const SHARED_CHANCE = 0.6;
/** Number of readers of a server's snapshots. */
const READERS = 2;
/**
 * CRASH_CHANCE: chance of a crash after each step. CRASH_MAX_MS: the crash comes within this time. ANSWERED_CRASH_CHANCE: chance of a crash
 * after an answered order.
 */
const CRASH_CHANCE = 0.0015;
const CRASH_MAX_MS = 5;
const ANSWERED_CRASH_CHANCE = 0.1;
/** DECIDING: names of the steps that decide an order. DECIDED_CRASH_CHANCE: chance of a crash after a deciding step. */
const DECIDING = /commit|prepared|rollback|copied|left/;
const DECIDED_CRASH_CHANCE = 0.04;

export class SimStoresOfWorld {
  private readonly world: SimWorld;
  private readonly random: SeededRandom;
  private readonly judges: (StoreJudge | SnapshotJudge | ReaderJudge)[] = [];
  private readonly readers: SimReader[] = [];
  private readonly managers: readonly SimStoreManager[];
  private isOver = false;

  constructor(world: SimWorld, seed: number) {
    this.world = world;
    this.random = new SeededRandom(seed * SALT + 11);
    installCalls();
    // Removes the file systems of the previous world.
    unmountAll();
    closeAll();
    this.managers = world.servers.map((server) => this.newManager(server));
  }

  get breaches(): string[] {
    return this.judges.flatMap(({ breaches }) => breaches);
  }

  get isDone(): boolean {
    return this.managers.every(({ isDone }) => isDone) && (!this.isOver || this.readers.every(({ isDone }) => isDone));
  }

  /** Number of answered orders. */
  get done(): number {
    return this.judges.reduce((sum, judge) => sum + (judge instanceof StoreJudge ? judge.done : 0), 0);
  }

  heal(): void {
    this.isOver = true;
    for (const manager of this.managers) manager.heal();
    for (const reader of this.readers) reader.end();
  }

  private newManager(server: SimServer): SimStoreManager {
    const { world, random } = this;
    const { clock, trace } = world;
    const judge = new StoreJudge(server.name, () => clock.monotonicMs());
    const moments = new SnapshotJudge();
    this.judges.push(judge, moments);
    const readers = world.shape.hasReaders ? new ReaderJudge(server.name, () => clock.monotonicMs()) : null;
    const stepMs = random.pick([0.1, 0.5, 2]);
    const pools = [`${server.name}-a`, `${server.name}-b`] as const;
    const stateMount = `${server.name}-state`;
    const files = [...pools, stateMount].map((name, at) => this.newFiles(server, name, stepMs, at < pools.length));
    let manager: SimStoreManager | null = null;
    server.machine.stores = {
      mounts: pools,
      stateMount,
      files,
      random,
      stepMs,
      judge,
      made: (config, storage) => this.made(server, config, storage),
      reached: (step) => {
        if (DECIDING.test(step)) this.mayCrash(server, DECIDED_CRASH_CHANCE);
      },
      started: (store) => manager?.started(store),
    };
    server.openPool();
    manager = new SimStoreManager({
      clock,
      random,
      trace,
      server,
      judge,
      moments,
      readers,
      pools,
      hasSpread: world.shape.hasSpread,
      readerOf: (label) => this.readers.find((one) => one.keeps(label) && !one.isDone) ?? null,
      users: (volume, mayBeSeveral) => this.users(volume, mayBeSeveral),
      sendAway: async (user) => {
        const client = world.clientOf(user);
        if (client.isGood) await Promise.race([client.sendAway(user), this.pause(AWAY_MAX_MS)]);
      },
      callBack: (user) => world.clientOf(user).callBack(user),
      answered: () => this.mayCrash(server, ANSWERED_CRASH_CHANCE, true),
    });
    if (readers !== null) this.addReaders(server, manager, readers, judge);
    return manager;
  }

  /** Adds clients that read snapshots, including snapshots of volumes that other clients write. */
  private addReaders(server: SimServer, manager: SimStoreManager, judge: ReaderJudge, stores: StoreJudge): void {
    const { world, random } = this;
    const { clock, trace } = world;
    this.judges.push(judge);
    for (let number = 0; number < READERS; number++) {
      const client = random.pick(world.clients);
      const choose = (): string | null => {
        const chosen = manager.chooseSnapshot((label) => this.isFreeAt(client, label));
        chosen?.volume.readers.add(client.names.node);
        return chosen?.label ?? null;
      };
      const differs = (older: string, younger: string, pairs: readonly number[]): void => {
        const [old, now] = [judge.find(older), judge.find(younger)];
        if (old === null || now === null) return;
        // The volume may have grown between the snapshots.
        const before = Buffer.concat([old.content, Buffer.alloc(now.content.length - old.content.length)]);
        stores.differs(`${old.name} and ${now.name}`, before, now.content, pairs, () => true);
      };
      const isReplaced = (): boolean => world.isReplaced(client, server.serverid);
      const ports = { clock, random, trace, client, judge, server: server.name, isReplaced, choose, differs };
      this.readers.push(new SimReader(`${client.name} reader ${number}`, ports));
    }
  }

  /** Whether no reader of the client has this snapshot or will attach it again. A client attaches a snapshot only once at a time. */
  private isFreeAt(client: SimClient, label: string): boolean {
    return !this.readers.some((one) => one.client === client && one.keeps(label));
  }

  private newFiles(server: SimServer, name: string, stepMs: number, isPool: boolean): SimFiles {
    const { world, random } = this;
    const files = new SimFiles(() => new SimStorage(STORED_MAX_BYTES / SECTOR_BYTES, world.shape.storage, random, world.clock));
    mount(name, { files, random, stepMs, process: () => server.listener, stepped: () => this.mayCrash(server, CRASH_CHANCE) });
    if (!isPool) return files;
    for (const folder of ['volumes', 'removed']) files.make([folder], true);
    const identity = files.make(['pool.json'], false);
    const id = `00000000-0000-4000-8000-${random.bytes(6).toString('hex')}` as const;
    identity.text = printIdentity({ id, createdMs: 0 });
    identity.sizeBytes = identity.text.length;
    files.sync(identity);
    return files;
  }

  private made(server: SimServer, { id, name, sizeBytes }: ServerVolumeConfig, storage: SimStorage): SimVolume {
    return this.world.addStored(server, name, { id: id!, sizeBytes: sizeBytes! }, storage);
  }

  private users(volume: SimVolume, mayBeSeveral: boolean): SimUser[] {
    const { world, random } = this;
    const first = random.pick(world.clients);
    const others = world.clients.filter(({ names }) => names.node !== first.names.node);
    const clients = mayBeSeveral && others.length > 0 && random.chance(SHARED_CHANCE) ? [first, random.pick(others)] : [first];
    const users = clients.map((client) => world.addPooledUser(client, volume, Math.min(IOS, world.shape.user.ios)));
    if (users.length > 1) world.rivals.add(volume);
    return users;
  }

  private mayCrash(server: SimServer, chance: number, isMachine = false): void {
    const { world, random } = this;
    if (this.isOver || !random.chance(chance)) return;
    const isWhole = isMachine || random.chance(0.5);
    world.clock.after(random.unit() * random.unit() * CRASH_MAX_MS, () => {
      if (this.isOver) return;
      if (isWhole) world.faults.crashMachine(server);
      else world.faults.killListener(server);
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.clock.after(ms, resolve);
    });
  }
}
