// The mirrors of a simulated world: each server is a voter, two or three servers have a replica, and clients claim and use the mirrors.
// This file has its own source of random numbers, and decides when a voter loses its records. Invariant: worlds without mirrors do not
// depend on this file.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { installCalls } from '../files/sim-calls.ts';
import { SimFiles } from '../files/sim-files.ts';
import { closeAll } from '../files/sim-handle.ts';
import { mount, unmountAll } from '../files/sim-mounts.ts';
import { VoteJudge } from '../judges/vote-judge.ts';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimServer } from '../machines/sim-server.ts';
import { type SimVolume, served } from '../machines/sim-volume.ts';
import { type BareMirror, SimClaimer } from '../mirrors/sim-claimer.ts';
import { SimMirror } from '../mirrors/sim-mirror.ts';
import { SimStorage } from '../storage/sim-storage.ts';
import { SimVotes, stateMount } from '../votes/sim-votes.ts';
import { isDenseSeed } from './sim-shape.ts';
import type { SimWorld } from './sim-world.ts';

/** Added to the seed, so that these draws differ from the world's. */
const SALT = 1_000_163;
/** BARE: number of mirrors without data. CLAIMS: number of claims of each of these mirrors by each client. */
const BARE = 1;
const CLAIMS = 8;
/** CRASH_CHANCE: chance of a crash after a file call for a record of a mirror. CRASH_MAX_MS: the crash comes within this time. */
const CRASH_CHANCE = 0.005;
const CRASH_MAX_MS = 5;
/** Chance that a machine crash of the server `forgetful` also destroys the records of that server. */
const RECORDS_LOST_CHANCE = 0.2;
/** Chance that, in a dense world, a crash of a machine destroys the disk of the machine's replica. */
const DISK_LOST_CHANCE = 0.2;
const SMALL_SECTORS = 64;
const DENSE_SECTORS = 512;
/** Sectors of a mirror of two regions. */
const TWO_REGIONS = MIRROR_REGION_BYTES / SECTOR_BYTES + SMALL_SECTORS;

export class SimMirrorsOfWorld {
  readonly mirror: SimMirror;
  private readonly world: SimWorld;
  private readonly random: SeededRandom;
  private readonly bare: readonly BareMirror[];
  private readonly claimers: readonly SimClaimer[];
  /**
   * The witness, which is the only server that may lose its records. If a server with a replica lost its record, the replica would wait for
   * an administrator (M18).
   */
  private readonly forgetful: SimServer | null;
  private readonly isDense: boolean;
  /** Number of machine crashes that destroyed the records of the witness. */
  recordsLost = 0;
  private isOver = false;

  constructor(world: SimWorld, seed: number) {
    this.world = world;
    const random = new SeededRandom(seed * SALT + 13);
    this.isDense = isDenseSeed(seed);
    this.random = random;
    installCalls();
    seedIds(new SeededRandom(seed * SALT + 17));
    // Removes the file systems of the previous world.
    unmountAll();
    closeAll();
    for (const server of world.servers) this.openServer(server);
    const { clock } = world;
    this.bare = Array.from({ length: BARE }, () => {
      const id = random.bytes(16).toString('hex');
      return { id, judge: new VoteJudge(`mirror ${id.slice(0, 4)}`, () => clock.monotonicMs()), voters: new Map() };
    });
    this.claimers = world.clients.flatMap((client, at) => this.bare.map((mirror) => this.newClaimer(client, mirror, at === 0)));
    const { trace, clients, servers, volumes, shape } = world;
    const { isDense } = this;
    const smallSectors = isDense ? DENSE_SECTORS : SMALL_SECTORS;
    const sectors = random.chance(0.4) ? TWO_REGIONS : smallSectors;
    const { isLossy, storage } = shape;
    const mirror = new SimMirror({ clock, trace, random, clients, servers, volumes, storage, isLossy, isDense }, sectors);
    this.mirror = mirror;
    this.forgetful = servers.find(({ serverid }) => mirror.replicas.every((one) => one.serverid !== serverid)) ?? null;
  }

  get breaches(): string[] {
    return [...this.bare.flatMap(({ judge }) => judge.breaches), ...this.mirror.breaches];
  }

  /** Whether nearly all work is done, so that the faults may end. */
  get isDone(): boolean {
    return this.claimers.every(({ isDone }) => isDone) && (this.isOver ? this.mirror.isDone : this.mirror.hasWorked);
  }

  /** Number of claims that clients have held until they stored a clean config. */
  get done(): number {
    return this.claimers.reduce((sum, { ended }) => sum + ended, 0);
  }

  replicasOf(serverid: number): number {
    return this.mirror.replicas.filter((volume) => volume.serverid === serverid).length;
  }

  look(nowMs: number): void {
    this.mirror.look(nowMs);
  }

  heal(): void {
    this.isOver = true;
    this.mirror.heal();
  }

  /** Judges the end of the world: without faults, each mirror must have been read and detached. */
  judgeEnd(): void {
    if (!this.isDone) this.mirror.judgeEnd();
  }

  private openServer(server: SimServer): void {
    const { world, random } = this;
    const files = new SimFiles(() => new SimStorage(SMALL_SECTORS, world.shape.storage, random, world.clock));
    const stepMs = random.pick([0.1, 1, 5]);
    mount(stateMount(server.name), { files, random, stepMs, process: () => server.listener, stepped: () => this.stepped(server) });
    const { machine } = server;
    machine.whenCrashed = () => this.crashed(server, files);
    machine.openVotes(() => this.newVotes(server));
  }

  private newVotes(server: SimServer): SimVotes {
    const { machine, listener } = server;
    const replicaOf = (id: string): NonNullable<SimVolume['replica']> => machine.volumes.get(id)!.replica!;
    return new SimVotes({
      server: server.name,
      clock: listener,
      store: {
        place: (id, mirror) => replicaOf(id).place(listener, mirror),
        unplace: (id) => replicaOf(id).unplace(listener),
      },
      holds: () => server.holds.holders,
      served: () =>
        [...machine.volumes.values()].filter(({ replica, isCut }) => replica !== null && !isCut).map((volume) => served(volume)),
      incarnationOf: (id) => machine.incarnationOf(id),
      incarnationEnded: (id) => machine.incarnationEnded(id),
      usersOf: (id) => [...server.sessions.values()].filter(({ uses }) => uses.has(id)).map(({ node }) => node),
      revoke: (node, id, epoch) =>
        new Promise((resolve) => {
          const session = server.sessions.get(node);
          if (session === undefined) resolve(true);
          else session.revoke(id, epoch, listener, resolve);
        }),
      listChanged: () => server.listChanged(),
    });
  }

  private newClaimer(client: SimClient, mirror: BareMirror, isFounder: boolean): SimClaimer {
    const { world, random } = this;
    const thinkMs = random.pick([5, 50, 300]);
    const servers = world.servers.map(({ serverid }) => serverid);
    const claimer = new SimClaimer({ random, trace: world.trace, client, mirror, servers, thinkMs, isFounder }, CLAIMS);
    client.followers.add(claimer);
    claimer.begin(client.process);
    return claimer;
  }

  /** The machine of the server has crashed. The server's file system now shows the state of the disk. */
  private crashed(server: SimServer, files: SimFiles): void {
    const { random, world } = this;
    files.crashed(random);
    if (this.isDense && !this.isOver && random.chance(DISK_LOST_CHANCE)) this.mirror.loseDisk(server.serverid);
    if (this.isOver || server !== this.forgetful || !random.chance(RECORDS_LOST_CHANCE)) return;
    if (world.trace.isOn) world.trace.say(`-- ${server.name} has lost its records of mirrors`);
    this.recordsLost++;
    if (files.has(['voters'])) files.remove(['voters']);
  }

  private stepped(server: SimServer): void {
    const { world, random } = this;
    if (this.isOver || !random.chance(CRASH_CHANCE)) return;
    const isMachine = random.chance(0.5);
    world.clock.after(random.unit() * CRASH_MAX_MS, () => {
      if (this.isOver) return;
      if (isMachine) world.faults.crashMachine(server);
      else world.faults.killListener(server);
    });
  }
}

/** Makes the random ids of production code the same in each run of a seed. */
function seedIds(random: SeededRandom): void {
  const randomBytes = (lengthBytes: number): Buffer => random.bytes(lengthBytes);
  Reflect.set(crypto, 'randomBytes', randomBytes);
  syncBuiltinESMExports();
}
