// The pools of a simulated world: one for each server, with its administrator. This file has its own source of random numbers, and decides
// when a step on disk fails, and when a crash follows a step. Invariant: worlds without pools do not depend on this file.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { PoolJudge } from '../judges/pool-judge.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { SimUser } from '../machines/sim-user.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import type { SimWorld } from './sim-world.ts';
import { SimDisk } from '../storage/sim-disk.ts';
import { AWAY_MAX_MS, SimManager } from './sim-manager.ts';

/** Added to the seed, so that these draws differ from the world's. */
const SALT = 1_000_081;
/** I/Os of each user of a volume. */
const IOS = 150;
const SHARED_CHANCE = 0.4;
const FAIL_CHANCE = 0.01;
/** CRASH_CHANCE: chance of a crash after each step on disk. CRASH_MAX_MS: the crash comes within this time. */
const CRASH_CHANCE = 0.04;
const CRASH_MAX_MS = 20;
/** CUT_GAP_MS: mean time between two truncations of files. CUT_MAX_MS: a file stays truncated for at most this time. */
const CUT_GAP_MS = 3000;
const CUT_MAX_MS = 1500;
/** Chance that a file is truncated while its volume is being opened. */
const OPEN_CUT_CHANCE = 0.1;

export class SimPoolsOfWorld {
  private readonly world: SimWorld;
  private readonly random: SeededRandom;
  private readonly managers: readonly SimManager[];
  private readonly judges: PoolJudge[] = [];
  private isOver = false;

  constructor(world: SimWorld, seed: number) {
    this.world = world;
    this.random = new SeededRandom(seed * SALT + 7);
    this.managers = world.servers.map((server) => this.newManager(server));
  }

  get breaches(): string[] {
    return this.judges.flatMap(({ breaches }) => breaches);
  }

  get isDone(): boolean {
    return this.managers.every(({ isDone }) => isDone);
  }

  /** Number of answered orders. */
  get done(): number {
    return this.judges.reduce((sum, { done }) => sum + done, 0);
  }

  heal(): void {
    this.isOver = true;
    for (const manager of this.managers) manager.heal();
  }

  private newManager(server: SimServer): SimManager {
    const { world, random } = this;
    const { clock, trace } = world;
    const nodes = world.clients.map(({ names }) => names.node);
    const disk = new SimDisk();
    const judge = new PoolJudge(server.name, disk, () => clock.monotonicMs());
    this.judges.push(judge);
    server.machine.pool = {
      disk,
      judge,
      random,
      stepMs: random.pick([1, 10, 40]),
      clients: world.shape.hasRevocations ? nodes : null,
      made: ({ id, name, sizeBytes }) => void world.addPooled(server, name, { id, sizeBytes }),
      opening: (id) => this.opening(server, server.machine.volumes.get(id)!),
      stepped: () => this.stepped(server),
      fails: () => !this.isOver && random.chance(FAIL_CHANCE),
    };
    server.openPool();
    this.cutLater(server);
    return new SimManager({
      clock,
      random,
      trace,
      server,
      judge,
      nodes,
      revokes: world.shape.hasRevocations,
      crash: () => {
        if (!this.isOver) world.faults.crashMachine(server);
      },
      users: (volume) => this.users(volume),
      sendAway: async (user) => {
        const client = world.clientOf(user);
        if (client.isGood) await Promise.race([client.sendAway(user), this.pause(AWAY_MAX_MS)]);
      },
      callBack: (user) => world.clientOf(user).callBack(user),
    });
  }

  private users(volume: SimVolume): SimUser[] {
    const { world, random } = this;
    const first = random.pick(world.clients);
    const others = world.clients.filter(({ names }) => names.node !== first.names.node);
    const clients = others.length > 0 && random.chance(SHARED_CHANCE) ? [first, random.pick(others)] : [first];
    const users = clients.map((client) => world.addPooledUser(client, volume, Math.min(IOS, world.shape.user.ios)));
    if (users.length > 1) world.rivals.add(volume);
    return users;
  }

  /** From time to time, truncates the file of a volume, and restores it after a while. */
  private cutLater(server: SimServer): void {
    const { world, random } = this;
    world.clock.after(random.unit() * 2 * CUT_GAP_MS, () => {
      if (this.isOver) return;
      const served = [...server.machine.volumes.values()].filter(({ config, isCut }) => config !== null && !isCut);
      if (served.length > 0) this.cut(server, random.pick(served));
      this.cutLater(server);
    });
  }

  /** May truncate the file of a volume during an OPEN, the worst moment for a truncation. */
  private opening(server: SimServer, volume: SimVolume): void {
    const { world, random } = this;
    if (this.isOver || !random.chance(OPEN_CUT_CHANCE)) return;
    world.clock.after(random.unit() * world.shape.controlMs, () => {
      if (!this.isOver && volume.config !== null && !volume.isCut) this.cut(server, volume);
    });
  }

  private cut(server: SimServer, volume: SimVolume): void {
    const { world, random } = this;
    if (world.trace.isOn) world.trace.say(`-- the file of ${volume.name} is cut`);
    volume.storage.troubleBegins();
    server.cut(volume, true);
    world.faults.forAWhile(CUT_MAX_MS * random.unit(), () => {
      server.cut(volume, false);
      volume.storage.troubleEnds();
    });
  }

  private stepped(server: SimServer): void {
    const { world, random } = this;
    if (this.isOver || !random.chance(CRASH_CHANCE)) return;
    const isMachine = random.chance(0.5);
    world.clock.after(random.unit() * random.unit() * CRASH_MAX_MS, () => {
      if (this.isOver) return;
      if (isMachine) world.faults.crashMachine(server);
      else world.faults.killListener(server);
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.clock.after(ms, resolve);
    });
  }
}
