// Clients and servers on one simulated clock, network and storage, all from one seed: users read and write while misfortunes befall
// everything; then all is well again, and what must be true at the end is judged: everything answered, nothing lent, nothing occupied,
// nothing ticking. While it runs, an I/O that waits although a path is good and the storage fast is a breach too.

import { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { SimClient, type Use } from './sim-client.ts';
import { SimClock } from './sim-clock.ts';
import { SimFaults } from './sim-faults.ts';
import { Judge } from './sim-judge.ts';
import { SimNetwork } from './sim-network.ts';
import { SimServer } from './sim-server.ts';
import type { SessionHost, SimSession } from './sim-session.ts';
import { drawRoute, drawShape, type WorldShape } from './sim-shape.ts';
import { SimStorage } from './sim-storage.ts';
import { SimUser } from './sim-user.ts';
import { whenPeerErrs } from './peer-errors.ts';
import { setSeqModulus } from './small-numbers.ts';
import { EVENT, Trace } from './trace.ts';

const NODEKEY = '0123456789abcdef';
/** A world whose users are not through by then is healed all the same. */
const TROUBLED_MAX_MS = 120_000;
/** After the last misfortune the users go on for so long at most. */
const CALM_MAX_MS = 120_000;
/** Time in which everything must be answered once all is well: a path that died too often may wait for half a minute. */
export const RECOVERY_MAX_MS = 60_000;
/** Time that ends need: last words, drains. */
const CLOSING_MS = 30_000;
/** Links of a chain of promises that may hang on one event. */
const PROMISE_CHAIN_MAX = 16;
const EVENTS_MAX = 20_000_000;

export class SimWorld {
  readonly clock = new SimClock();
  readonly trace: Trace;
  readonly shape: WorldShape;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly servers: SimServer[] = [];
  readonly clients: SimClient[] = [];
  readonly users: SimUser[] = [];
  readonly storages = new Map<string, SimStorage>();
  readonly faults: SimFaults;
  readonly breaches: string[] = [];
  pathFailures = 0;
  private readonly judge: Judge;
  private readonly ending = new Set<SimSession>();
  /** What is being attached and detached. */
  private readonly waits = new Set<object>();
  private hasPromise = false;
  private lives = 0;

  constructor(seed: number, line: ((line: string) => void) | null) {
    const { clock } = this;
    this.trace = new Trace(line, () => clock.monotonicMs());
    const random = new SeededRandom(seed);
    this.random = random;
    this.shape = drawShape(random);
    setSeqModulus(this.shape.seqModulus);
    whenPeerErrs((sentence) => void this.breaches.push(sentence));
    if (line !== null) line(`seed ${seed}: ${JSON.stringify(this.shape)}`);
    this.network = new SimNetwork(clock, random);
    for (let index = 0; index < this.shape.servers; index++) this.addServer(index);
    for (let index = 0; index < this.shape.clients; index++) this.addClient(index);
    const { network, servers, clients, trace } = this;
    this.faults = new SimFaults(
      { clock, random, network, servers, clients, storages: [...this.storages.values()], trace },
      this.shape.faultGapMs,
    );
    this.judge = new Judge(this, this.breaches);
  }

  /** Runs the seed; gives everything that was not as it must be. */
  async run(): Promise<string[]> {
    const { clock } = this;
    await this.runWhile(() => !this.users.every((user) => user.isNearlyDone) && clock.monotonicMs() < TROUBLED_MAX_MS);
    this.trace.say('-- all is well again');
    this.faults.heal();
    const endMs = clock.monotonicMs() + CALM_MAX_MS;
    await this.runWhile(() => this.users.some((user) => user.isBusy) && clock.monotonicMs() < endMs);
    for (const user of this.users) user.stop();
    const lastMs = clock.monotonicMs() + RECOVERY_MAX_MS;
    await this.runWhile(() => !this.judge.isQuiet && clock.monotonicMs() < lastMs);
    this.judge.quiet();
    for (const user of this.users) user.verify();
    await this.runWhile(() => this.users.some((user) => user.isBusy || !user.isVerified) && clock.monotonicMs() < lastMs + RECOVERY_MAX_MS);
    if (this.users.some((user) => !user.isVerified)) this.breaches.push('Not everything could be read at the end');
    await this.close();
    this.trace.note(EVENT.END, clock.events, 0, 0);
    return [
      ...this.breaches,
      ...this.users.flatMap(({ oracle }) => oracle.breaches),
      ...[...this.storages.values()].flatMap(({ breaches }) => breaches),
    ];
  }

  private addServer(index: number): void {
    const { clock, random, trace, shape, storages } = this;
    const name = `server${index}`;
    const sessions: SessionHost = {
      name,
      random,
      storages,
      holds: new Map(),
      slots: shape.slots,
      controlMs: shape.controlMs,
      ending: this.ending,
      breach: (sentence) => void this.breaches.push(sentence),
      promised: () => {
        this.hasPromise = true;
      },
      nextLife: () => ++this.lives,
    };
    const ports = { clock, random, trace, nodekey: NODEKEY, sessions, handOverMs: shape.handOverMs };
    this.servers.push(new SimServer(name, index + 1, this.addressesOf(index + 1), ports));
  }

  private addressesOf(serverid: number): string[] {
    return Array.from({ length: this.shape.remotes }, (_unused, at) => `127.46.${serverid}.${at + 1}`);
  }

  private addClient(index: number): void {
    const { clock, random, network, trace, shape } = this;
    const locals = Array.from({ length: shape.locals }, (_unused, at) => `127.45.${index}.${at + 1}`);
    const remotes: { name: string; address: string }[] = [];
    const uses: Use[] = [];
    for (const server of this.servers) {
      for (const address of this.addressesOf(server.serverid)) {
        remotes.push({ name: server.name, address });
        for (const local of locals) network.addRoute(local, address, server, drawRoute(random));
      }
      for (let at = 0; at < shape.volumes; at++) uses.push({ serverid: server.serverid, user: this.addUser(index, server, at) });
    }
    const ports = {
      clock,
      random,
      network,
      trace,
      nodekey: NODEKEY,
      digest: shape.digest,
      times: shape.times,
      breach: (sentence: string) => void this.breaches.push(sentence),
      pathFailed: () => {
        this.pathFailures++;
      },
      waits: () => {
        const wait = {};
        this.waits.add(wait);
        return () => void this.waits.delete(wait);
      },
    };
    this.clients.push(new SimClient(`node${index}`, locals, remotes, uses, ports));
  }

  private addUser(client: number, server: SimServer, at: number): SimUser {
    const { clock, random, trace, shape } = this;
    const storage = new SimStorage(shape.sectors, shape.storage, random);
    storage.promised = () => {
      this.hasPromise = true;
    };
    const name = `${server.name}-node${client}-${at}`;
    this.storages.set(name, storage);
    const lives = (): number => this.lives;
    const policy = random.pick(shape.stalls);
    const user = new SimUser(name, this.users.length + 1, storage, { ...shape.user, policy }, { clock, random, trace, lives });
    this.users.push(user);
    return user;
  }

  private async runWhile(condition: () => boolean): Promise<void> {
    const { clock } = this;
    while (condition()) {
      if (!clock.step() || clock.events > EVENTS_MAX) {
        this.breaches.push(`After ${clock.events} events the world does not go on`);
        return;
      }
      if (this.hasPromise || this.ending.size + this.waits.size > 0) await this.letPromisesMove();
      this.judge.look();
    }
  }

  private async letPromisesMove(): Promise<void> {
    this.hasPromise = false;
    for (let times = 0; times < PROMISE_CHAIN_MAX; times++) await Promise.resolve();
    this.clock.drainSoon();
  }

  private async close(): Promise<void> {
    const { clock } = this;
    for (const client of this.clients) client.stop('The world ends');
    const sessions = this.servers.flatMap((server) => [...server.sessions.values()]);
    const endMs = clock.monotonicMs() + CLOSING_MS;
    let isOver = false;
    clock.after(CLOSING_MS, () => {
      isOver = true;
    });
    clock.after(1000, () => {
      for (const session of sessions) session.end('E_SHUTTING_DOWN', 'The world ends');
    });
    await this.runWhile(() => !isOver && clock.monotonicMs() <= endMs);
    this.judge.closed();
  }
}
