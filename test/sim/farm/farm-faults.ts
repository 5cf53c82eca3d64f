// The faults of a simulated farm: servers and machines that die or stand still, storage and network that are cut, clean moves under load,
// failed file systems, fences that are not proven, takers that die at any step, clients that die, and take-overs of holds. Invariant: after
// `heal`, nothing is wrong any more, and no fault begins.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { TAKE } from '@rsio/protocol/wire/messages';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';
import { EVENT, type Trace } from '../base/trace.ts';
import type { SimNetwork } from '../network/sim-network.ts';
import type { FarmClient } from './farm-client.ts';
import { POOL } from './farm-pool.ts';
import { type FarmServer, textOf } from './farm-server.ts';
import type { FarmShape } from './farm-shape.ts';
import type { SharedDisk } from './shared-disk.ts';

export interface FarmTargets {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly network: SimNetwork;
  readonly disk: SharedDisk;
  readonly servers: readonly FarmServer[];
  readonly clients: readonly FarmClient[];
  /** Number of I/Os that have ended. */
  ios(): number;
}

const LOOK_MS = 10;
/** In worlds in which no server takes a pool by itself: a command moves a pool without an owner after this time, on average. */
const COMMAND_MS = 4_000;
const DOWN_MAX_MS = 6_000;
const FREEZE_MAX_MS = 25_000;
const CUT_MAX_MS = 20_000;
const ZOMBIE_MAX_MS = 60_000;
/** Faults of worlds in which clients that are left with a zombie lose their volume. */
const ROBBED_KINDS: readonly string[] = ['client left with a zombie', 'connections reset'];
const ROBBED_LEAST_MS = 15_000;
const ROB_MS = 50;
const FENCE_FAILS_MAX_MS = 12_000;
const CLIENT_DOWN_MAX_MS = 3_000;
/** While a taker is to be struck: the chance, at each of its steps, that the fault follows this step. */
const STEP_CHANCE = 0.25;
/** The chance that a machine dies when its server replaces the ledger. */
const LEDGER_CHANCE = 0.02;

export class FarmFaults {
  readonly counts: Record<string, number> = {};
  private readonly targets: FarmTargets;
  private readonly gap: Pick<FarmShape, 'faultGapIos' | 'faultGapMs' | 'robsZombies' | 'takeOverMs'>;
  private readonly healing = new Set<() => void>();
  private isOver = false;
  private isTakerStruck = false;
  private readonly kinds: readonly (readonly [weight: number, name: string, happen: () => void])[];
  private readonly weight: number;

  constructor(targets: FarmTargets, gap: FarmFaults['gap']) {
    this.targets = targets;
    this.gap = gap;
    this.kinds = [
      [4, 'server killed', () => this.dies(this.server(), false)],
      [4, 'machine dies', () => this.dies(this.server(), true)],
      [5, 'server stands still', () => this.freeze(this.server(), false)],
      [4, 'machine stands still', () => this.freeze(this.server(), true)],
      [5, 'storage cut off', () => this.cutStorage(this.server())],
      [4, 'listener stands still', () => this.pause(this.server().listener, FREEZE_MAX_MS)],
      [4, 'network cut off', () => this.cutNetwork(this.routesOf(this.server()))],
      [5, 'client cut off from a server', () => this.cutNetwork(this.routesOf(this.server(), this.client()))],
      [2, 'storage and network cut off', () => this.cutBoth(this.server())],
      [5, 'client left with a zombie', () => this.leaveWithZombie()],
      [12, 'clean move', () => this.move()],
      [2, 'file system fails', () => this.owner()?.machine.mount?.fail()],
      [3, 'fences fail', () => this.failFences()],
      [3, 'taker will die', () => void (this.isTakerStruck = true)],
      [2, 'worker killed', () => this.worker((process) => process.kill())],
      [3, 'worker stands still', () => this.worker((process) => this.pause(process, FREEZE_MAX_MS))],
      [3, 'client killed', () => this.client().kill(targets.random.unit() * CLIENT_DOWN_MAX_MS)],
      [2, 'client stands still', () => this.pause(this.client().process, FREEZE_MAX_MS)],
      [3, 'connections reset', () => targets.random.pick(targets.network.routes).reset()],
      [5, 'volume taken over', () => this.takeOver()],
    ];
    if (gap.robsZombies) this.kinds = this.kinds.filter(([, name]) => ROBBED_KINDS.includes(name));
    this.weight = this.kinds.reduce((sum, [weight]) => sum + weight, 0);
    this.next();
    if (gap.takeOverMs === null)
      targets.clock.repeat(COMMAND_MS, () => {
        if (this.owner() === undefined) this.move();
        return targets.random.unit() * 2 * COMMAND_MS;
      });
  }

  /** Called before each step of a server at the storage. */
  reached(server: FarmServer, step: string): void {
    const { random, clock } = this.targets;
    if (step === 'ledger') return this.ledgerWritten(server);
    if (this.isOver || !this.isTakerStruck || step === 'look' || step === 'post') return;
    if (server.farms?.list[0]?.status.standing !== 'taking' || !random.chance(STEP_CHANCE)) return;
    this.isTakerStruck = false;
    clock.after(random.unit() * random.unit() * 20, () => {
      if (this.isOver) return;
      this.count('taker struck');
      const happen = random.pick([() => this.dies(server, random.chance(0.5)), () => this.freeze(server, random.chance(0.5))]);
      happen();
    });
  }

  /** The server is about to replace its ledger. Until it has done so, no other server can learn of the change. */
  private ledgerWritten(server: FarmServer): void {
    const { random, clock } = this.targets;
    if (this.isOver || !random.chance(LEDGER_CHANCE)) return;
    clock.after(random.unit() * random.unit() * 20, () => {
      if (this.isOver) return;
      this.count('struck at a change of its ledger');
      this.dies(server, true);
    });
  }

  heal(): void {
    this.isOver = true;
    for (const end of [...this.healing]) end();
    this.targets.disk.fencesFailUntilMs = 0;
  }

  private next(): void {
    const { clock, random } = this.targets;
    const draw = (): [ios: number, ms: number] => [
      this.targets.ios() + random.unit() * 2 * this.gap.faultGapIos,
      clock.monotonicMs() + random.unit() * 2 * this.gap.faultGapMs,
    ];
    let [atIos, atMs] = draw();
    clock.repeat(LOOK_MS, () => {
      if (this.isOver) return null;
      if (this.targets.ios() >= atIos || clock.monotonicMs() >= atMs) {
        this.befall();
        [atIos, atMs] = draw();
      }
      return random.unit() * 2 * LOOK_MS;
    });
  }

  private befall(): void {
    const { random, trace } = this.targets;
    let left = random.unit() * this.weight;
    const at = this.kinds.findIndex(([weight]) => (left -= weight) < 0);
    const [, name, happen] = this.kinds[at]!;
    this.count(name);
    trace.note(EVENT.FAULT, at, 0, 0);
    if (trace.isOn) trace.say(`-- ${name}`);
    happen();
  }

  private count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  /** Calls `end` after at least `leastMs` and up to `maxMs` more, or when all faults are healed. */
  private forAWhile(maxMs: number, end: () => void, leastMs = 1): void {
    const { clock, random } = this.targets;
    const once = (): void => {
      if (this.healing.delete(once)) end();
    };
    this.healing.add(once);
    clock.after(leastMs + maxMs * random.unit() * random.unit(), once);
  }

  private server(): FarmServer {
    const { random, servers } = this.targets;
    const owner = this.owner();
    return owner !== undefined && random.chance(0.6) ? owner : random.pick(servers);
  }

  private owner(): FarmServer | undefined {
    return this.targets.servers.find(({ isServing }) => isServing);
  }

  private client(): FarmClient {
    return this.targets.random.pick(this.targets.clients);
  }

  private dies(server: FarmServer, isMachine: boolean): void {
    if (server.listener.isKilled) return;
    if (this.targets.trace.isOn) this.targets.trace.say(`-- ${server.name} dies${isMachine ? ' with its machine' : ''}`);
    if (isMachine) server.crash();
    else server.kill();
    for (const route of isMachine ? this.routesOf(server) : []) {
      if (this.targets.random.chance(0.5)) route.lose('back');
      else route.reset();
    }
    this.forAWhile(DOWN_MAX_MS, () => server.boot());
  }

  private freeze(server: FarmServer, isMachine: boolean): void {
    const { trace } = this.targets;
    const all = [...server.processes, ...(isMachine ? [server.machine.kernel] : [])].filter(
      ({ isKilled, isPaused }) => !isKilled && !isPaused,
    );
    if (trace.isOn) trace.say(`-- ${server.name} stands still${isMachine ? ' with its machine' : ''}`);
    for (const process of all) process.pause();
    this.forAWhile(FREEZE_MAX_MS, () => {
      if (trace.isOn) trace.say(`-- ${server.name} goes on`);
      for (const process of all) process.resume();
    });
  }

  private pause(process: SimProcess, maxMs: number, leastMs = 1): void {
    if (process.isKilled || process.isPaused) return;
    process.pause();
    this.forAWhile(maxMs, () => process.resume(), leastMs);
  }

  private worker(happen: (process: SimProcess) => void): void {
    const workers = [...this.server().workers];
    if (workers.length > 0) happen(this.targets.random.pick(workers).process);
  }

  private cutStorage({ machine }: FarmServer): void {
    if (machine.isCutOff) return;
    if (this.targets.trace.isOn) this.targets.trace.say(`-- ${machine.name} is cut off from the storage`);
    machine.isCutOff = true;
    this.forAWhile(CUT_MAX_MS, () => {
      if (this.targets.trace.isOn) this.targets.trace.say(`-- ${machine.name} reaches the storage again`);
      machine.join();
    });
  }

  private cutNetwork(routes: SimNetwork['routes'], maxMs = CUT_MAX_MS, leastMs = 1): void {
    for (const route of routes) {
      route.lose('there');
      route.lose('back');
      route.reach = 'silent';
    }
    const open = (): void => {
      for (const route of routes) route.reach = 'open';
    };
    this.forAWhile(maxMs, open, leastMs);
  }

  private cutBoth(server: FarmServer): void {
    this.cutStorage(server);
    this.cutNetwork(this.routesOf(server));
  }

  /** The listener of the owner stands still, and another server takes the pool. One client, perhaps restarted, reaches only the owner. */
  private leaveWithZombie(): void {
    const { random, servers, clock } = this.targets;
    const owner = this.owner();
    if (owner === undefined) return;
    const isRobbed = this.gap.robsZombies;
    const client = isRobbed ? this.holderOfFought() : this.client();
    const leastMs = isRobbed ? ROBBED_LEAST_MS : 1;
    if (isRobbed) this.rob(client, owner);
    this.pause(owner.listener, ZOMBIE_MAX_MS, leastMs);
    if (random.chance(0.5)) this.cutStorage(owner);
    for (const other of servers) if (other !== owner) this.cutNetwork(this.routesOf(other, client), ZOMBIE_MAX_MS, leastMs);
    const kill = (): void => {
      if (!this.isOver) client.kill(random.unit() * CLIENT_DOWN_MAX_MS);
    };
    if (random.chance(0.3)) clock.after(random.unit() * CUT_MAX_MS, kill);
  }

  /** A client that has the volume for which the clients compete; any client if none has it. */
  private holderOfFought(): FarmClient {
    const { clients } = this.targets;
    return clients.find(({ users }) => users.some(({ judge, volume }) => judge.isFought && volume !== null)) ?? this.client();
  }

  /** Another client repeats a take-over of the volume by force, until it has the volume from a server other than the zombie. */
  private rob(client: FarmClient, zombie: FarmServer): void {
    const { clients, clock } = this.targets;
    const robbers = clients.filter((one) => one !== client);
    clock.repeat(ROB_MS, () => {
      const fought = robbers.flatMap((robber) => robber.users.filter(({ judge }) => judge.isFought).map((user) => ({ robber, user })));
      if (this.isOver || fought.some(({ user }) => user.volume !== null)) return null;
      const [first] = fought;
      if (first !== undefined && this.targets.servers.some((one) => one !== zombie && one.isServing))
        first.robber.takeOver(first.user, TAKE.FORCE);
      return zombie.listener.isPaused ? ROB_MS : null;
    });
  }

  /** Returns the routes to a server: all routes of one client, or most of the routes of all clients. */
  private routesOf({ addresses }: FarmServer, client: FarmClient | null = null): SimNetwork['routes'] {
    const { network, random } = this.targets;
    return network.routes.filter(
      ({ address, localAddress }) => addresses.includes(address) && (client === null ? random.chance(0.8) : client.local === localAddress),
    );
  }

  private move(): void {
    const { random, servers, trace } = this.targets;
    const by = random.pick(servers);
    if (!by.isListening || by.farms === null) return;
    const to = random.pick(servers).name;
    if (trace.isOn) trace.say(`-- ${by.name} asks for a move to ${to}`);
    by.farms.move(POOL, to).then(
      () => {
        this.count('moved');
        if (trace.isOn) trace.say(`-- moved to ${to}`);
      },
      (thrown: unknown) => {
        if (trace.isOn) trace.say(`-- not moved to ${to}: ${textOf(thrown)}`);
      },
    );
  }

  private failFences(): void {
    const { disk, clock, random } = this.targets;
    disk.fencesFailUntilMs = clock.monotonicMs() + random.unit() * FENCE_FAILS_MAX_MS;
  }

  private takeOver(): void {
    const { random, clients } = this.targets;
    const able = clients.flatMap((client) =>
      client.users.filter(({ judge, volume }) => judge.isFought && volume === null).map((user) => ({ client, user })),
    );
    if (able.length === 0) return;
    const { client, user } = random.pick(able);
    client.takeOver(user, random.chance(0.2) ? TAKE.FORCE : TAKE.OVER);
  }
}
