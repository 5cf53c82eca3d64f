// A world of clients and servers on one simulated clock, network and storage. One seed determines the whole world. Users read and write
// during faults of all kinds; then all faults end, and the final state is judged: everything answered, no buffer lent, no slot taken, no
// timer left. During the run, it is also a breach if an I/O waits for a long time although a path works and the storage is fast.

import { whenAssertionFails } from '@rsio/base/lib/assert';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type ClientNames, SimClient, type SimMachineId, type Use } from '../machines/sim-client.ts';
import { SimClock } from '../base/sim-clock.ts';
import { SimForms } from '../machines/sim-forms.ts';
import { SimFacts } from '../machines/sim-facts.ts';
import { POOLED_MAX_BYTES } from './sim-manager.ts';
import { SimPoolsOfWorld } from './sim-pools-of-world.ts';
import { SimStoresOfWorld } from './sim-stores-of-world.ts';
import { SimMirrorsOfWorld } from './sim-mirrors-of-world.ts';
import { SimFaults } from '../faults/sim-faults.ts';
import { Judge } from './sim-judge.ts';
import { SimMachine } from '../machines/sim-machine.ts';
import { SimNetwork } from '../network/sim-network.ts';
import { SimRivals } from '../machines/sim-rivals.ts';
import { SimServer } from '../machines/sim-server.ts';
import { drawRoute, drawShape, type WorldShape, logTotalOf } from './sim-shape.ts';
import { SimSnapshots } from './sim-snapshots.ts';
import { SimStorage } from '../storage/sim-storage.ts';
import { SimUser } from '../machines/sim-user.ts';
import { SimVolume } from '../machines/sim-volume.ts';
import '../base/private-keys.ts';
import { whenPeerErrs } from '../base/peer-errors.ts';
import { whenSessionIsLeft } from '../base/session-watch.ts';
import { PromiseWatch } from '../base/promise-watch.ts';
import { drawHandlesMax, setMirrors, setSeqModulus } from '../base/small-numbers.ts';
import { EVENT, Trace } from '../base/trace.ts';

/** Added to the seed for the draws about machines, so that the rest of the world does not depend on them. */
const STARTS_SEED = 16_000_009;
const MIRRORS_SEED = 17_000_023;
const NODEKEY = '0123456789abcdef';
/** Latest time at which the faults end, even if the users are not done. */
const TROUBLED_MAX_MS = 120_000;
/** Longest time for which the users continue after the last fault. */
const CALM_MAX_MS = 120_000;
/**
 * Time within which everything must be answered after the end of all faults. This time is long enough even for a path that died often: the
 * client waits for up to half a minute before it connects such a path again.
 */
export const RECOVERY_MAX_MS = 60_000;
/** Simulated time between two checks of a condition. */
const LOOK_MS = 10;
/** Time for the orderly end of all clients and servers, with last messages and open requests. */
const CLOSING_MS = 30_000;
const EVENTS_MAX = 20_000_000;
/** Thrown when a hunt has found a violation. */
const FOUND = new Error('Something is not as it must be');

export class SimWorld {
  readonly clock = new SimClock();
  readonly trace: Trace;
  readonly shape: WorldShape;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly servers: SimServer[] = [];
  readonly clients: SimClient[] = [];
  readonly users: SimUser[] = [];
  readonly volumes: SimVolume[] = [];
  readonly rivals: SimRivals;
  readonly faults: SimFaults;
  readonly pools: SimPoolsOfWorld | null;
  readonly snapshots: SimSnapshots | null;
  readonly stores: SimStoresOfWorld | null;
  readonly mirrors: SimMirrorsOfWorld | null;
  private readonly forms: SimForms;
  readonly breaches: string[] = [];
  pathFailures = 0;
  private readonly judge: Judge;
  private isHunt = false;
  private readonly promises = new PromiseWatch();
  private readonly starts: SeededRandom;
  private readonly mirrorRandom: SeededRandom;
  private serverProcesses = 0;
  private processes = 0;

  constructor(seed: number, line: ((line: string) => void) | null) {
    const { clock } = this;
    this.trace = new Trace(line, () => clock.monotonicMs());
    const random = new SeededRandom(seed);
    this.random = random;
    this.starts = new SeededRandom(seed + STARTS_SEED);
    this.mirrorRandom = new SeededRandom(seed + MIRRORS_SEED);
    this.shape = drawShape(random, seed);
    setSeqModulus(this.shape.seqModulus);
    setMirrors(this.shape.hasMirrors);
    drawHandlesMax(seed);
    whenPeerErrs((sentence) => void this.breaches.push(sentence));
    whenSessionIsLeft((sentence) => void this.breaches.push(sentence));
    whenAssertionFails(({ stack }) => void this.breaches.push(`An assertion: ${stack}`));
    if (line !== null) line(`seed ${seed}: ${JSON.stringify(this.shape)}`);
    this.forms = new SimForms(seed, clock, this.trace);
    this.network = new SimNetwork(clock, random);
    for (let index = 0; index < this.shape.servers; index++) this.addServer(index);
    for (let index = 0; index < this.shape.clients; index++) {
      const node = `node${index}`;
      this.addClient({ label: node, node, machine: { name: node, boot: node, instance: this.firstInstance() } }, () => this.shape.user.ios);
    }
    const { network, servers, clients, volumes, trace } = this;
    this.faults = new SimFaults(
      {
        clock,
        random,
        network,
        servers,
        clients,
        volumes,
        trace,
        secondInstance: (of) => this.addInstance(of),
        takeOver: ({ users }) => this.rivals.takeOver(users),
      },
      this.shape.faultGapMs,
      this.shape.times.deadMs,
    );
    this.rivals = new SimRivals(clock, random, clients, volumes, this.shape.rivalGapMs);
    this.judge = new Judge(this, this.breaches);
    this.pools = this.shape.hasPools ? new SimPoolsOfWorld(this, seed) : null;
    this.snapshots = this.shape.snapshots ? new SimSnapshots(this, seed) : null;
    this.stores = this.shape.hasStores ? new SimStoresOfWorld(this, seed) : null;
    this.mirrors = this.shape.hasMirrors ? new SimMirrorsOfWorld(this, seed) : null;
  }

  /** Runs the seed and returns every violation. With `isHunt`, the run ends at the first violation. */
  async run(isHunt: boolean): Promise<string[]> {
    this.isHunt = isHunt;
    try {
      await this.live();
    } catch (thrown) {
      if (thrown !== FOUND) throw thrown;
    } finally {
      this.promises.stop();
    }
    return this.found;
  }

  private get areCommandsDone(): boolean {
    return this.pools?.isDone !== false && this.stores?.isDone !== false && this.mirrors?.isDone !== false;
  }

  private get areOrdersDone(): boolean {
    return this.areCommandsDone && this.snapshots?.isDone !== false;
  }

  private get found(): string[] {
    return [
      ...this.breaches,
      ...this.volumes.flatMap(({ breaches }) => breaches),
      ...(this.pools?.breaches ?? []),
      ...(this.snapshots?.breaches ?? []),
      ...(this.stores?.breaches ?? []),
      ...(this.mirrors?.breaches ?? []),
    ];
  }

  private async live(): Promise<void> {
    const { clock } = this;
    await this.runUntil(() => this.users.every((user) => user.isNearlyDone) && this.areCommandsDone, TROUBLED_MAX_MS);
    this.trace.say('-- all is well again');
    this.faults.heal();
    this.forms.heal();
    this.pools?.heal();
    this.snapshots?.heal();
    this.stores?.heal();
    this.mirrors?.heal();
    await this.runUntil(() => this.users.every((user) => !user.isBusy) && this.areOrdersDone, clock.monotonicMs() + CALM_MAX_MS);
    if (!this.areOrdersDone) this.breaches.push('C1: an order is not answered although all is well');
    this.mirrors?.judgeEnd();
    this.rivals.stop();
    for (const user of this.users) user.stop();
    const lastMs = clock.monotonicMs() + RECOVERY_MAX_MS;
    await this.runUntil(() => this.judge.isQuiet, lastMs);
    this.judge.quiet();
    await this.runUntil(() => this.forgetful.length === 0, clock.monotonicMs() + RECOVERY_MAX_MS);
    for (const volume of this.forgetful)
      this.breaches.push(`V1: ${owedOf(volume)} sectors that the storage of ${volume.name} has forgotten are not brought back`);
    await this.runUntil(() => this.users.every((user) => user.knowsSize), clock.monotonicMs() + RECOVERY_MAX_MS);
    for (const user of this.users) if (!user.knowsSize) this.breaches.push(`C2: ${user.name} has not heard that its volume has grown`);
    const isVerified = (): boolean => this.volumes.every((volume) => this.isVerified(volume));
    await this.runUntil(() => isVerified() && this.users.every((user) => !user.isBusy), lastMs + RECOVERY_MAX_MS);
    for (const volume of this.volumes) if (!this.isVerified(volume)) this.breaches.push(`${volume.name} cannot be read to its end`);
    for (const user of this.users) user.stop();
    await this.hear();
    await this.close();
    this.trace.note(EVENT.END, clock.events, 0, 0);
  }

  /** Volumes whose storage has lost writes that their holders must replay. */
  private get forgetful(): SimVolume[] {
    return this.volumes.filter((volume) => owedOf(volume) > 0 && volume.users.some((user) => user.isHolder && !user.isReplaced));
  }

  /**
   * Called at the end of the run. Returns true if a user has since read the whole volume, or if no client may have the volume. If the
   * volume must still be read, a permitted user reads it, after a take-over if necessary.
   */
  private isVerified(volume: SimVolume): boolean {
    const able = volume.users.filter((user) => !user.isReplaced && !user.hasNoVolume);
    if (able.length === 0 || able.some((user) => user.isVerified)) return true;
    if (able.some((user) => user.insists)) return false;
    const user = able.find(({ isHolder }) => isHolder) ?? able[0]!;
    user.verify();
    this.clientOf(user).insist(user);
    return false;
  }

  /** Waits until every user whose volume was taken has learned of the loss. Users must learn of the loss even if they submit no I/O. */
  private async hear(): Promise<void> {
    await this.runUntil(() => this.judge.unheard.length === 0, this.clock.monotonicMs() + RECOVERY_MAX_MS);
    for (const name of this.judge.unheard) this.breaches.push(`H2: ${name} has not heard that it lost its hold`);
  }

  clientOf(user: SimUser): SimClient {
    return this.clients.find(({ users }) => users.includes(user))!;
  }

  /** Whether this server no longer serves the client, because it has served another client with the same nodename. */
  isReplaced({ names, numbers, number }: SimClient, serverid: number): boolean {
    const server = this.servers.find((one) => one.serverid === serverid)!;
    const served = server.servedClient(names.node);
    return server.isReplaced(number) || (served !== null && !numbers.has(served) && !server.isReplaced(served));
  }

  private addServer(index: number): void {
    const { clock, random, trace, shape } = this;
    const name = `server${index}`;
    const sessions = {
      random,
      slots: shape.slots,
      controlMs: shape.controlMs,
      breach: (sentence: string) => void this.breaches.push(sentence),
      nextProcessNumber: () => ++this.serverProcesses,
      nextPeriod: shape.dataProcesses > 0 ? () => ++this.serverProcesses : null,
    };
    const machine = new SimMachine(random, this.forms.areCompared ? new SimFacts() : null);
    const stepped = (server: SimServer): void => this.faults.takeOverStepped(server);
    const starts = (server: SimServer): void => this.forms.starts(server);
    const ports = {
      clock,
      random,
      trace,
      nodekey: NODEKEY,
      machine,
      sessions,
      starts,
      stepped,
      handOverMs: shape.handOverMs,
      revokes: shape.revokes,
      tls: shape.tls,
      snapshots: shape.snapshots || shape.hasStores,
      mirrors: shape.hasMirrors,
      dataProcesses: shape.dataProcesses > 0,
    };
    const server = new SimServer(name, index + 1, this.addressesOf(index + 1), ports);
    this.servers.push(server);
    for (let at = 0; at < shape.fought; at++) this.addVolume(server, `v${at}`);
  }

  private addVolume(server: SimServer, name: string): SimVolume {
    const { clock, random, shape } = this;
    const storage = new SimStorage(shape.sectors, shape.storage, random, clock);
    const other = new SimStorage(shape.sectors, shape.storage, random, clock);
    const volume = new SimVolume(`${server.name}-${name}`, server.serverid, this.volumes.length + 1, storage, other, this.trace);
    volume.oracle.replayed = () => this.faults.replayed(volume);
    volume.oracle.shown = () => this.faults.shown(volume);
    this.volumes.push(volume);
    server.machine.add(volume);
    return volume;
  }

  /** Adds a volume of a pool, without users. */
  addPooled(server: SimServer, name: string, pooled: { readonly id: string; readonly sizeBytes: number }): SimVolume {
    const { clock, random, shape, trace } = this;
    const storage = new SimStorage(POOLED_MAX_BYTES / SECTOR_BYTES, shape.storage, random, clock);
    const volume = new SimVolume(name, server.serverid, this.volumes.length + 1, storage, storage, trace, pooled);
    volume.oracle.replayed = () => this.faults.replayed(volume);
    volume.oracle.shown = () => this.faults.shown(volume);
    this.volumes.push(volume);
    server.machine.add(volume);
    return volume;
  }

  /** Adds a volume on a simulated file system. */
  addStored(server: SimServer, name: string, stored: { readonly id: string; readonly sizeBytes: number }, storage: SimStorage): SimVolume {
    const volume = new SimVolume(name, server.serverid, this.volumes.length + 1, storage, storage, this.trace, stored);
    volume.isStored = true;
    volume.oracle.replayed = () => this.faults.replayed(volume);
    volume.oracle.shown = () => this.faults.shown(volume);
    this.volumes.push(volume);
    server.machine.add(volume);
    return volume;
  }

  addPooledUser(client: SimClient, target: SimVolume, ios: number): SimUser {
    const user = this.addUser(client.names, target, ios, 'forever');
    const use = { serverid: target.serverid, user };
    client.use(use);
    this.judge.watchUse(client, use);
    return user;
  }

  private addressesOf(serverid: number): string[] {
    return Array.from({ length: this.shape.remotes }, (_unused, at) => `127.46.${serverid}.${at + 1}`);
  }

  /** Adds a client with the same nodename, which gets half of the remaining work. */
  private addInstance(of: SimClient): void {
    const { random, clients, shape } = this;
    if (clients.length > shape.clients || shape.hasMirrors) return;
    const { node, machine } = of.names;
    const label = `${node}b`;
    const isSame = random.chance(0.5);
    const names = {
      label,
      node,
      machine: isSame ? this.sameMachine(machine, label) : { name: label, boot: label, instance: random.int(0, 2) },
    };
    this.judge.watch(this.addClient(names, (target) => of.users.find((user) => user.target === target)!.share()));
  }

  /** Returns the machine itself, or a copy with the same files that was booted separately. */
  private sameMachine(machine: SimMachineId, label: string): SimMachineId {
    const { starts } = this;
    return starts.chance(0.5) ? machine : { ...machine, boot: label, instance: Math.max(0, machine.instance - starts.int(0, 1)) };
  }

  /** First instance number; sometimes one of the last numbers of the range. */
  private firstInstance(): number {
    return this.starts.chance(0.1) ? INSTANCE_MAX - this.starts.int(0, 3) : 0;
  }

  private addClient(names: ClientNames, iosOf: (target: SimVolume) => number): SimClient {
    const { clock, random, network, trace, shape } = this;
    const index = this.clients.length;
    const locals = Array.from({ length: shape.locals }, (_unused, at) => `127.45.${index}.${at + 1}`);
    const remotes: { name: string; address: string }[] = [];
    const uses: Use[] = [];
    for (const server of this.servers) {
      for (const address of this.addressesOf(server.serverid)) {
        remotes.push({ name: server.name, address });
        for (const local of locals) network.addRoute(local, address, server, drawRoute(random, shape));
      }
      for (const target of this.volumesFor(names.node, server))
        uses.push({ serverid: server.serverid, user: this.addUser(names, target, iosOf(target)) });
    }
    const ports = {
      clock,
      random,
      mirrorRandom: this.mirrorRandom,
      dataProcesses: shape.dataProcesses,
      network,
      trace,
      nodekey: NODEKEY,
      digest: shape.digest,
      tls: shape.tls,
      times: shape.times,
      logSizeBytes: shape.logSizeBytes,
      logTotalBytes: logTotalOf(shape),
      breach: (sentence: string) => void this.breaches.push(sentence),
      pathFailed: () => {
        this.pathFailures++;
      },
      nextProcess: () => ++this.processes,
    };
    const client = new SimClient(names, locals, remotes, uses, ports);
    this.clients.push(client);
    return client;
  }

  /**
   * Returns the volumes for which all clients compete, and the volumes of this node alone. Creates the volumes of the node when its first
   * instance asks.
   */
  private volumesFor(node: string, server: SimServer): SimVolume[] {
    const { fought, volumes } = this.shape;
    const all = this.volumes.filter(({ serverid, isPooled }) => serverid === server.serverid && !isPooled);
    const own = all.filter(({ users }) => users.length > 0 && users.every((user) => user.node === node) && fought < volumes);
    const made = own.length > 0 ? own : Array.from({ length: volumes - fought }, (_unused, at) => this.addVolume(server, `${node}-${at}`));
    return [...all.slice(0, fought), ...made];
  }

  private addUser(names: ClientNames, target: SimVolume, ios: number, given: StallPolicy | null = null): SimUser {
    const { clock, random, trace, shape } = this;
    const policy = given ?? random.pick(shape.stalls);
    const user: SimUser = new SimUser(
      names,
      this.users.length + 1,
      target,
      { ...shape.user, ios, policy },
      {
        clock,
        random,
        trace,
        serverProcesses: () => this.serverProcesses,
        isReplaced: () => this.isReplaced(this.clientOf(user), target.serverid),
      },
    );
    this.users.push(user);
    target.users.push(user);
    return user;
  }

  /** Runs until the condition holds, checked at intervals, or until `endMs`. */
  private async runUntil(isSo: () => boolean, endMs: number): Promise<void> {
    const { clock } = this;
    let nextMs = 0;
    await this.runWhile(() => {
      if (clock.monotonicMs() < nextMs) return true;
      nextMs = clock.monotonicMs() + LOOK_MS;
      if (this.isHunt && this.found.length > 0) throw FOUND;
      return !isSo() && clock.monotonicMs() < endMs;
    });
  }

  private async runWhile(condition: () => boolean): Promise<void> {
    while (this.stepsWhile(condition)) {
      await this.promises.pass();
      this.promises.haveMoved = false;
      this.clock.drainSoon();
      this.judge.look();
    }
  }

  /** Runs events while the condition holds. Returns true if promises must continue before the next event. */
  private stepsWhile(condition: () => boolean): boolean {
    const { clock, judge, promises } = this;
    while (condition()) {
      if (!clock.step() || clock.events > EVENTS_MAX) {
        this.breaches.push(`After ${clock.events} events the world does not go on`);
        return false;
      }
      if (promises.haveMoved) return true;
      judge.look();
    }
    return false;
  }

  private async close(): Promise<void> {
    const { clock } = this;
    for (const client of this.clients) client.stop('The world ends');
    const endMs = clock.monotonicMs() + CLOSING_MS;
    let isOver = false;
    clock.after(CLOSING_MS, () => {
      isOver = true;
    });
    // `endSessions` is called more than once, because a connection in progress may start a new session after the process of the old session
    // has ended.
    const endSessions = (): void => {
      for (const { sessions } of this.servers) for (const session of sessions.values()) session.end('E_SHUTTING_DOWN', 'The world ends');
      if (!isOver) clock.after(1000, endSessions);
    };
    clock.after(1000, endSessions);
    await this.runWhile(() => !isOver && clock.monotonicMs() <= endMs);
    this.judge.closed();
  }
}

function owedOf({ oracle, storage }: SimVolume): number {
  return oracle.owed(storage.cache.disk);
}
