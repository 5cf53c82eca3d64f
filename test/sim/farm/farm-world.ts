// A world of two to four servers over one shared disk, and their clients, on one simulated clock. One seed determines the whole world. The
// users do I/O during faults of all kinds; then all faults end, and every volume must go on and show what was acknowledged. The
// world judges the content (farm-judge.ts) and the storage (shared-disk.ts), and reports I/O errors, broken rules of the protocol, and I/O
// that does not go on at the end.

import { whenAssertionFails } from '@rsio/base/lib/assert';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { TAKE } from '@rsio/protocol/wire/messages';
import '../base/private-keys.ts';
import { whenPeerErrs } from '../base/peer-errors.ts';
import { whenSessionIsLeft } from '../base/session-watch.ts';
import { PromiseWatch } from '../base/promise-watch.ts';
import { SimClock } from '../base/sim-clock.ts';
import { drawHandlesMax, setMirrors, setSeqModulus } from '../base/small-numbers.ts';
import { EVENT, Trace } from '../base/trace.ts';
import { SimNetwork } from '../network/sim-network.ts';
import { FarmClient } from './farm-client.ts';
import { FarmFaults } from './farm-faults.ts';
import { FarmJudge, type FarmVolume } from './farm-judge.ts';
import { FarmMachine } from './farm-machine.ts';
import { POOL_ID } from './farm-pool.ts';
import { FarmServer } from './farm-server.ts';
import { drawFarm, drawFarmRoute, type FarmShape } from './farm-shape.ts';
import { FarmUser } from './farm-user.ts';
import { SharedDisk } from './shared-disk.ts';

const NODEKEY = '0123456789abcdef';
const LOOK_MS = 50;
/** Longest simulated times: with faults; then until all users have ended their I/O; then until all volumes were read. */
const TROUBLED_MAX_MS = 1_200_000;
const CALM_MAX_MS = 240_000;
const VERIFY_MAX_MS = 120_000;
const EVENTS_MAX = 30_000_000;
/** Share of the I/Os during which faults happen. */
const TROUBLED_SHARE = 0.9;
const FOUND = new Error('Something is not as it must be');

export interface FarmResult {
  readonly seed: number;
  readonly breaches: readonly string[];
  readonly counts: {
    readonly ios: number;
    readonly generations: number;
    readonly forcedTakes: number;
    readonly cleanTakes: number;
    readonly clientMoves: number;
    readonly refusals: number;
    readonly takenOver: number;
    readonly events: number;
    readonly simulatedMs: number;
  };
  readonly faults: Readonly<Record<string, number>>;
  readonly digest: string;
}

export class FarmWorld {
  readonly clock = new SimClock();
  readonly trace: Trace;
  readonly shape: FarmShape;
  readonly disk: SharedDisk;
  readonly servers: FarmServer[] = [];
  readonly clients: FarmClient[] = [];
  readonly users: FarmUser[] = [];
  readonly judges: FarmJudge[] = [];
  readonly faults: FarmFaults;
  private readonly random: SeededRandom;
  private readonly network: SimNetwork;
  private readonly breaches: string[] = [];
  private readonly promises = new PromiseWatch();
  private isHunt = false;

  constructor(seed: number, line: ((line: string) => void) | null) {
    const { clock } = this;
    const random = new SeededRandom(seed);
    this.random = random;
    this.trace = new Trace(line, () => clock.monotonicMs());
    this.shape = drawFarm(seed, random);
    if (line !== null) line(`seed ${seed}: ${JSON.stringify(this.shape)}`);
    setSeqModulus(random.pick([4, 0x10000]));
    setMirrors(false);
    drawHandlesMax(seed);
    whenPeerErrs((sentence) => void this.breaches.push(sentence));
    whenSessionIsLeft((sentence) => void this.breaches.push(sentence));
    whenAssertionFails(({ stack }) => void this.breaches.push(`An assertion: ${stack}`));
    this.network = new SimNetwork(clock, random);
    const owners = Array.from({ length: this.shape.servers }, (_unused, at) => `big-${at + 1}`);
    this.disk = new SharedDisk(clock, random, this.shape.disk, owners, emptyLedger());
    for (const volume of this.volumes()) {
      this.disk.addVolume(volume.id, volume.sectors);
      this.judges.push(new FarmJudge(volume, this.judges.length + 1, this.trace));
    }
    for (const [at, name] of owners.entries()) this.addServer(at + 1, name, owners);
    for (let number = 0; number < this.shape.clients; number++) this.addClient(number);
    const { network, disk, servers, clients, trace } = this;
    const completed = (): number => this.completed;
    this.faults = new FarmFaults({ clock, random, trace, network, disk, servers, clients, ios: completed }, this.shape);
  }

  /** Runs the world and returns every violation. With `isHunt`, the run ends at the first one. */
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

  get counts(): FarmResult['counts'] {
    const { clock, disk } = this;
    return {
      ios: this.completed,
      generations: disk.record?.generation ?? 0,
      forcedTakes: disk.forcedTakes,
      cleanTakes: disk.cleanTakes,
      clientMoves: sumOf(this.clients, ({ moves }) => moves),
      refusals: disk.refusals,
      takenOver: sumOf(this.users, ({ losses }) => losses),
      events: clock.events,
      simulatedMs: Math.round(clock.monotonicMs()),
    };
  }

  private get completed(): number {
    return sumOf(this.users, ({ completed }) => completed);
  }

  private get found(): string[] {
    return [...this.breaches, ...this.disk.breaches, ...this.judges.flatMap(({ breaches }) => breaches)];
  }

  private volumes(): FarmVolume[] {
    const { clients, sectors, robsZombies } = this.shape;
    const nodes = Array.from({ length: clients }, (_unused, at) => `node${at}`);
    const volumes: FarmVolume[] = nodes.map((node, at) => ({ id: `solo${at}`, sectors, shared: false, clients: [node] }));
    // Each write of a shared volume reaches the disk. If the disk refuses it, the zombie learns that it has lost the pool.
    if (!robsZombies) volumes.push({ id: 'shared', sectors, shared: true, clients: nodes });
    if (clients > 1) volumes.push({ id: 'fought', sectors, shared: false, clients: nodes });
    return volumes;
  }

  private addServer(serverid: number, name: string, owners: readonly string[]): void {
    const { clock, random, trace, disk, shape } = this;
    const addresses = Array.from({ length: shape.remotes }, (_unused, at) => `127.46.${serverid}.${at + 1}`);
    const machine = new FarmMachine(name, {
      clock,
      random,
      disk,
      writeBackMs: shape.writeBackMs,
      reached: (step) => this.faults?.reached(server, step),
    });
    const server: FarmServer = new FarmServer(serverid, addresses, machine, {
      clock,
      random,
      trace,
      nodekey: NODEKEY,
      volumes: this.judges.map(({ volume }) => volume),
      disk: {
        disk: { kind: 'device', path: '/dev/shared' },
        fence: { kind: 'rbd' },
        fencesSelf: false,
        owners,
        takeOverMs: shape.takeOverMs,
      },
      backend: shape.backend,
      slots: shape.slots,
      controlMs: shape.controlMs,
      breach: (sentence) => void this.breaches.push(sentence),
    });
    this.servers.push(server);
  }

  private addClient(number: number): void {
    const { clock, random, network, trace, shape } = this;
    const local = `127.45.${number}.1`;
    const remotes = this.servers.flatMap(({ name, addresses }) => addresses.map((address) => ({ name, address })));
    for (const server of this.servers)
      for (const address of server.addresses) network.addRoute(local, address, server, drawFarmRoute(random));
    const users = this.judges
      .filter(({ volume }) => volume.clients.includes(`node${number}`))
      .map((judge) => new FarmUser(number, judge, shape.user, { clock, random, trace }));
    this.users.push(...users);
    this.clients.push(
      new FarmClient(number, local, remotes, users, {
        clock,
        random,
        network,
        trace,
        nodekey: NODEKEY,
        times: shape.times,
        logSizeBytes: shape.logSizeBytes,
        breach: (sentence) => void this.breaches.push(sentence),
      }),
    );
  }

  private async live(): Promise<void> {
    const { clock } = this;
    const { ios } = this.shape;
    const isNearlyDone = (): boolean =>
      this.users.every(({ isDone, judge }) => isDone || judge.isFought) || this.completed > ios * TROUBLED_SHARE;
    await this.runUntil(isNearlyDone, TROUBLED_MAX_MS);
    this.trace.say('-- all is well again');
    this.faults.heal();
    const isIdle = (): boolean =>
      this.users.every(({ isDone, outstanding, volume, judge }) => (isDone && outstanding === 0) || (volume === null && judge.isFought));
    await this.runUntil(isIdle, clock.monotonicMs() + CALM_MAX_MS);
    for (const user of this.users) user.stop();
    // A slow world may not have ended all its I/Os by now, but none may wait for ever.
    await this.runUntil(() => this.users.every(({ outstanding }) => outstanding === 0), clock.monotonicMs() + VERIFY_MAX_MS);
    for (const user of this.users)
      if (user.outstanding > 0) this.breaches.push(`G1: ${user.name} does not go on although all is well: ${user.oldest}`);
    const verifiers = this.users.filter((user) => !user.judge.isFought || this.verifies(user));
    for (const client of this.clients)
      for (const user of client.users) {
        if (!verifiers.includes(user)) continue;
        user.verify();
        if (user.judge.isFought) client.takeOver(user, TAKE.FORCE);
      }
    await this.runUntil(() => verifiers.every(({ isVerified }) => isVerified), clock.monotonicMs() + VERIFY_MAX_MS);
    for (const user of verifiers)
      if (!user.isVerified) this.breaches.push(`G1: ${user.name} cannot read its volume although all is well: ${user.oldest}`);
    for (const client of this.clients) client.stop();
    this.trace.note(EVENT.END, clock.events, 0, 0);
  }

  /** Whether this user reads a volume for which several clients compete: its holder, or the first user. */
  private verifies(user: FarmUser): boolean {
    const all = this.users.filter(({ judge }) => judge === user.judge);
    return user === (all.find(({ volume }) => volume !== null) ?? all[0]);
  }

  private async runUntil(isSo: () => boolean, endMs: number): Promise<void> {
    const { clock } = this;
    let nextMs = 0;
    const isOn = (): boolean => {
      if (clock.monotonicMs() < nextMs) return true;
      nextMs = clock.monotonicMs() + LOOK_MS;
      if (this.isHunt && this.found.length > 0) throw FOUND;
      return !isSo() && clock.monotonicMs() < endMs;
    };
    while (this.stepsWhile(isOn)) {
      await this.promises.pass();
      this.promises.haveMoved = false;
      clock.drainSoon();
    }
  }

  /** Runs events while the condition holds. Returns true if promises must continue before the next event. */
  private stepsWhile(condition: () => boolean): boolean {
    const { clock, promises } = this;
    while (condition()) {
      if (!clock.step() || clock.events > EVENTS_MAX) {
        this.breaches.push(`After ${clock.events} events the world does not go on`);
        return false;
      }
      if (promises.haveMoved) return true;
    }
    return false;
  }
}

function sumOf<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((sum, one) => sum + of(one), 0);
}

function emptyLedger(): string {
  return JSON.stringify({ version: 1, content: { poolId: POOL_ID, generation: 0, owner: null, volumes: {}, nodes: {}, fences: {} } });
}

/** Runs a seed. A failed assertion of the production code also counts as a violation. */
export async function runFarmSeed(
  seed: number,
  { isHunt = false, trace = null }: { readonly isHunt?: boolean; readonly trace?: ((line: string) => void) | null } = {},
): Promise<FarmResult> {
  const world = new FarmWorld(seed, trace);
  const frames = Error.stackTraceLimit;
  Error.stackTraceLimit = trace === null ? 0 : 10;
  let breaches: readonly string[];
  try {
    breaches = await world.run(isHunt);
  } catch (error) {
    breaches = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  } finally {
    Error.stackTraceLimit = frames;
  }
  return { seed, breaches, counts: world.counts, faults: world.faults.counts, digest: world.trace.digest };
}
