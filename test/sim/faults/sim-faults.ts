// The faults of a simulated world. One fault after another begins, of a random kind, on a random route, process or storage, and lasts for a
// while. All kinds of faults occur in every world. The shape of the world says how often a fault begins. Invariant: each fault that begins
// also ends, after its time or by `heal`.

import { DEAD_AFTER_MS } from '@rsio/common/config/schema/limits';
import { type DurabilityCounts, DurabilityFaults } from './durability-faults.ts';
import { type FaultKind, RouteFaults } from './route-faults.ts';
import type { SimClient } from '../machines/sim-client.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimRoute } from '../network/sim-network.ts';
import type { SimServer } from '../machines/sim-server.ts';
import type { Fault, SimStorage } from '../storage/sim-storage.ts';
import type { FaultCounts, Targets } from './sim-targets.ts';
import type { SimVolume } from '../machines/sim-volume.ts';
import { EVENT } from '../base/trace.ts';

/** STEP_FAULT_CHANCE: chance of a crash after each step of a take-over. STEP_FAULT_MS: the crash comes within this time. */
const STEP_FAULT_CHANCE = 0.02;
const STEP_FAULT_MS = 200;
/**
 * Largest share of packets that a link loses after `heal`, if the dead time of the world is shorter than the default. A path works only if
 * its link carries a batch within the dead time (docs/PROTOCOL.md).
 */
const HEALED_LOSS_MAX = 0.01;

export class SimFaults {
  private readonly own: FaultCounts = { faults: 0, processCrashes: 0, listenerCrashes: 0, machineCrashes: 0, clientCrashes: 0, pauses: 0 };
  private readonly durability: DurabilityFaults;
  private readonly targets: Targets;
  private readonly gapMs: number;
  private readonly deadMs: number;
  private readonly kinds: readonly FaultKind[];
  private readonly weight: number;
  private readonly healing = new Set<() => void>();
  readonly begun: Record<string, number> = {};
  isOver = false;

  /** `gapMs`: mean time between two faults; `deadMs`: silence after which a client closes a path. */
  constructor(targets: Targets, gapMs: number, deadMs: number) {
    this.targets = targets;
    this.gapMs = gapMs;
    this.deadMs = deadMs;
    this.durability = new DurabilityFaults(targets, this);
    this.kinds = [
      ...new RouteFaults(targets, this).kinds,
      [2, 'detach', () => this.detach(false)],
      [1, 'detach by force', () => this.detach(true)],
      [4, 'server process killed', () => this.killSession()],
      [1, 'server process ended', () => this.endSession()],
      [1, 'listener killed', () => this.killListener(this.server())],
      [0.3, 'machine crashes', () => this.crashMachine(this.server())],
      [1, 'client killed', () => this.kill(this.client())],
      [0.15, 'client and machine crash', () => this.durability.crashBoth(this.server(), this.client())],
      [0.5, 'second instance', () => this.targets.secondInstance(this.client())],
      [2, 'server process stops', () => this.pauseSession()],
      [1, 'listener stops', () => this.pause(this.server().listener, 2000)],
      [2, 'client stops', () => this.pause(this.client().process, 4000)],
      [1, 'clock jumps', () => this.jump()],
      [2, 'an interface leaves the list', () => this.unlist()],
      [3, 'slow storage', () => this.slowStorage()],
      [2, 'failing storage', () => this.failStorage()],
      [3, 'write-back fails', () => this.durability.writeBackFails()],
    ];
    this.weight = this.kinds.reduce((sum, [weight]) => sum + weight, 0);
    this.next();
  }

  get counts(): FaultCounts & DurabilityCounts {
    return { ...this.own, ...this.durability.counts };
  }

  /** A request of a replay has taken effect. */
  replayed(volume: SimVolume): void {
    this.durability.replayed(volume);
  }

  /** A read has returned the data of a write that has not been answered yet. */
  shown(volume: SimVolume): void {
    this.durability.shown(volume);
  }

  /** Ends every fault; no further fault begins. */
  heal(): void {
    this.isOver = true;
    for (const end of [...this.healing]) end();
    const nowMs = this.targets.clock.monotonicMs();
    for (const route of this.targets.network.routes) {
      // The bytes that these connections have silently lost stay lost. Both ends must notice the loss and close the connections.
      route.stand('there', false);
      route.stand('back', false);
      if (this.deadMs < DEAD_AFTER_MS) route.loseAtMost(HEALED_LOSS_MAX);
      route.goodSinceMs = Math.min(route.goodSinceMs, nowMs);
    }
    if (this.targets.random.chance(0.5)) this.leaveOneRoute();
  }

  /** Each client keeps one route to each server; the other routes stay silent forever. */
  private leaveOneRoute(): void {
    const { network, servers, clients, random } = this.targets;
    for (const { serverid } of servers) {
      for (const { namespace } of clients) {
        const locals = new Set(namespace.routes.map(({ local }) => local.address));
        const routes = network.routes.filter(
          ({ localAddress, address }) => locals.has(localAddress) && address.startsWith(`127.46.${serverid}.`),
        );
        const kept = random.pick(routes);
        for (const route of routes) if (route !== kept) this.cutOff(route);
      }
    }
  }

  private cutOff(route: SimRoute): void {
    route.lose('there');
    route.lose('back');
    route.reach = this.targets.random.pick(['refused', 'silent'] as const);
    route.troubleBegins();
  }

  private next(): void {
    const { clock, random } = this.targets;
    clock.after(random.unit() * 2 * this.gapMs, () => {
      if (this.isOver) return;
      this.befall();
      this.next();
    });
  }

  private befall(): void {
    const { random, trace } = this.targets;
    let left = random.unit() * this.weight;
    const at = this.kinds.findIndex(([weight]) => (left -= weight) < 0);
    const [, name, happen] = this.kinds[at]!;
    this.own.faults++;
    this.begun[name] = (this.begun[name] ?? 0) + 1;
    trace.note(EVENT.FAULT, at, 0, 0);
    if (trace.isOn) trace.say(`-- ${name}`);
    happen();
  }

  /** Calls `end` after up to `maxMs`, or when all faults are healed. */
  forAWhile(maxMs: number, end: () => void): void {
    const { clock, random } = this.targets;
    const once = (): void => {
      if (this.healing.delete(once)) end();
    };
    this.healing.add(once);
    // The product of two random numbers makes short faults common and long faults rare.
    clock.after(1 + maxMs * random.unit() * random.unit(), once);
  }

  private detach(force: boolean): void {
    const { random } = this.targets;
    const client = this.client();
    if (!client.process.isPaused) void client.detach(random.pick(client.users), force, random.unit() * 1000);
  }

  private killSession(): void {
    const sessions = [...this.server().sessions.values()];
    if (sessions.length === 0) return;
    this.own.processCrashes++;
    this.targets.random.pick(sessions).kill();
  }

  private endSession(): void {
    const sessions = [...this.server().sessions.values()].filter(({ isEnding, process }) => !isEnding && !process.isPaused);
    if (sessions.length > 0) this.targets.random.pick(sessions).end('E_SHUTTING_DOWN', 'The session is ended');
  }

  /** Called between two steps of a take-over, the worst moment for a crash of the process that records it. */
  takeOverStepped(server: SimServer): void {
    const { clock, random } = this.targets;
    if (this.isOver || !random.chance(STEP_FAULT_CHANCE)) return;
    clock.after(random.unit() * random.unit() * STEP_FAULT_MS, () => {
      if (this.isOver) return;
      if (random.chance(0.5)) this.crashMachine(server);
      else this.killListener(server);
    });
  }

  /** Crashes the machine. The clients of the machine may notice at once, or never. */
  crashMachine(server: SimServer): void {
    const { random, network, trace } = this.targets;
    if (!server.isListening) return;
    this.own.machineCrashes++;
    this.own.processCrashes += server.sessions.size;
    if (trace.isOn) trace.say(`-- ${server.name} crashes`);
    const isSilent = random.chance(0.5);
    for (const route of network.routes) {
      if (!isSilent || !route.address.startsWith(`127.46.${server.serverid}.`)) continue;
      route.lose('there');
      route.lose('back');
    }
    server.crash(random.int(1, 1500));
    this.durability.crashed(server);
  }

  killListener(server: SimServer): void {
    if (!server.isListening) return;
    this.own.listenerCrashes++;
    this.own.processCrashes += server.sessions.size;
    server.killListener(this.targets.random.int(1, 1500));
  }

  kill(client: SimClient): void {
    if (client.process.isKilled) return;
    this.own.clientCrashes++;
    client.kill(this.targets.random.int(1, 500));
  }

  private pauseSession(): void {
    const sessions = [...this.server().sessions.values()];
    if (sessions.length > 0) this.pause(this.targets.random.pick(sessions).process, 8000);
  }

  pause(process: SimProcess, maxMs: number): void {
    if (process.isKilled || process.isPaused) return;
    this.own.pauses++;
    process.pause();
    this.forAWhile(maxMs, () => process.resume());
  }

  private jump(): void {
    const { random } = this.targets;
    const process = random.chance(0.5) ? this.client().process : this.server().listener;
    process.wallJumpMs += random.int(-3_600_000, 3_600_000);
  }

  /** Removes an address from the server's list of interfaces and notifies the clients. Adds the address again later. */
  private unlist(): void {
    const server = this.server();
    const address = server.unlist();
    if (address === null) return;
    const routes = this.targets.network.routes.filter((route) => route.address === address);
    for (const route of routes) {
      route.reach = 'refused';
      route.troubleBegins();
    }
    this.forAWhile(4000, () => {
      for (const route of routes) {
        route.reach = 'open';
        route.troubleEnds(this.targets.clock.monotonicMs());
      }
      server.list(address);
    });
  }

  private slowStorage(): void {
    const storage = this.storage();
    storage.slowFactor = this.targets.random.int(2, 60);
    storage.troubleBegins();
    this.forAWhile(3000, () => {
      storage.slowFactor = 1;
      storage.troubleEnds();
    });
  }

  private failStorage(): void {
    const { random, volumes } = this.targets;
    this.durability.failStorage(random.pick(volumes), random.pick<Fault>(['read', 'write', 'flush', 'full']), 500);
  }

  private server(): SimServer {
    return this.targets.random.pick(this.targets.servers);
  }

  private client(): SimClient {
    return this.targets.random.pick(this.targets.clients);
  }

  private storage(): SimStorage {
    return this.targets.random.pick(this.targets.volumes).storage;
  }
}
