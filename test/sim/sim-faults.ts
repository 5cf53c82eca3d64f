// What befalls a simulated world: one misfortune after another, of any kind, on any route, process or storage, each for a while.
// All kinds come in every world; how often is the world's shape. Invariant: each trouble that begins also ends, by itself or by `heal`.

import type { SimClient } from './sim-client.ts';
import type { SimProcess } from './sim-clock.ts';
import type { Direction, SimRoute } from './sim-network.ts';
import type { SimServer } from './sim-server.ts';
import type { Fault, SimStorage } from './sim-storage.ts';
import type { FaultCounts, Targets } from './sim-targets.ts';
import { EVENT } from './trace.ts';

/** Longest stand, and longest move, between two jerks. */
const JERK_MAX_MS = 1000;
const JERK_MOVES_MS = 20;

export class SimFaults {
  readonly counts: FaultCounts = { faults: 0, processCrashes: 0, listenerCrashes: 0, clientCrashes: 0, pauses: 0 };
  private readonly targets: Targets;
  private readonly gapMs: number;
  private readonly kinds: readonly (readonly [number, string, () => void])[];
  private readonly weight: number;
  private readonly healing = new Set<() => void>();
  private isOver = false;

  /** `gapMs`: mean time between two misfortunes. */
  constructor(targets: Targets, gapMs: number) {
    this.targets = targets;
    this.gapMs = gapMs;
    this.kinds = [
      [8, 'reset', () => this.route().reset()],
      [4, 'one way stands still', () => this.standStill(this.route(), [this.direction()], 2500)],
      [4, 'one way of the connections stands still', () => this.stallOne()],
      [2, 'both ways stand still', () => this.standStill(this.route(), ['there', 'back'], 2500)],
      [1, 'one way stands still for long', () => this.standStill(this.route(), [this.direction()], 90_000)],
      [3, 'one way is lost', () => this.route().lose(this.direction())],
      [2, 'black hole', () => this.blackHole(this.route())],
      [2, 'unreachable', () => this.unreachable(this.route())],
      [2, 'slow route', () => this.slowRoute(this.route())],
      [2, 'all routes of a client stand still', () => this.allStand()],
      [4, 'jerks', () => this.jerks()],
      [4, 'trickle', () => this.trickle()],
      [3, 'carrier lost', () => this.loseCarrier()],
      [3, 'address gone', () => this.loseAddress()],
      [2, 'detach', () => this.detach(false)],
      [1, 'detach by force', () => this.detach(true)],
      [6, 'the client gives a path up', () => this.giveUp()],
      [4, 'server process killed', () => this.killSession()],
      [1, 'server process ended', () => this.endSession()],
      [1, 'listener killed', () => this.killListener()],
      [1, 'client killed', () => this.killClient()],
      [2, 'server process stands still', () => this.pauseSession()],
      [1, 'listener stands still', () => this.pause(this.server().listener, 2000)],
      [2, 'client stands still', () => this.pause(this.client().process, 4000)],
      [1, 'clock jumps', () => this.jump()],
      [2, 'an interface leaves the list', () => this.unlist()],
      [3, 'slow storage', () => this.slowStorage()],
      [2, 'failing storage', () => this.failStorage()],
    ];
    this.weight = this.kinds.reduce((sum, [weight]) => sum + weight, 0);
    this.next();
  }

  /** Ends every trouble; no other begins. */
  heal(): void {
    this.isOver = true;
    for (const end of [...this.healing]) end();
    const nowMs = this.targets.clock.monotonicMs();
    for (const route of this.targets.network.routes) {
      // What was lost without a word stays lost: those connections are for the two ends to give up.
      route.stand('there', false);
      route.stand('back', false);
      route.goodSinceMs = Math.min(route.goodSinceMs, nowMs);
    }
    if (this.targets.random.chance(0.5)) this.leaveOneRoute();
  }

  /** Each client keeps one route to each server; of the others nothing is ever heard again. */
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
    this.counts.faults++;
    trace.note(EVENT.FAULT, at, 0, 0);
    if (trace.isOn) trace.say(`-- ${name}`);
    happen();
  }

  /** `end` runs after up to `maxMs`, or when all is healed. */
  private forAWhile(maxMs: number, end: () => void): void {
    const { clock, random } = this.targets;
    const once = (): void => {
      if (this.healing.delete(once)) end();
    };
    this.healing.add(once);
    // Short ones are common, long ones come too.
    clock.after(1 + maxMs * random.unit() * random.unit(), once);
  }

  private troubled(route: SimRoute, maxMs: number, end: () => void): void {
    route.troubleBegins();
    this.forAWhile(maxMs, () => {
      end();
      route.troubleEnds(this.targets.clock.monotonicMs());
    });
  }

  private standStill(route: SimRoute, directions: readonly Direction[], maxMs: number): void {
    for (const direction of directions) route.stand(direction, true);
    this.troubled(route, maxMs, () => {
      for (const direction of directions) route.stand(direction, false);
    });
  }

  /** Only of the connections that there are. */
  private stall(route: SimRoute, directions: readonly Direction[], maxMs: number, then: () => void = () => undefined): void {
    const ends = directions.map((direction) => route.stall(direction));
    this.troubled(route, maxMs, () => {
      for (const end of ends) end();
      then();
    });
  }

  /** Now and then a connection breaks when it has just moved again. */
  private stallOne(): void {
    const { random, clock } = this.targets;
    const route = this.route();
    const breaks = random.chance(0.3);
    this.stall(route, [this.direction()], 4000, () => {
      if (breaks) clock.after(random.unit() * 300, () => route.reset());
    });
  }

  private blackHole(route: SimRoute): void {
    route.lose('there');
    route.lose('back');
    route.reach = 'silent';
    this.troubled(route, 8000, () => {
      route.reach = 'open';
    });
  }

  private unreachable(route: SimRoute): void {
    route.reach = this.targets.random.pick(['refused', 'silent'] as const);
    route.reset();
    this.troubled(route, 4000, () => {
      route.reach = 'open';
    });
  }

  private slowRoute(route: SimRoute): void {
    const { random } = this.targets;
    const { usual } = route;
    route.shape = random.chance(0.5)
      ? { ...usual, bytesPerMs: usual.bytesPerMs / random.int(10, 200) }
      : { ...usual, latencyMs: usual.latencyMs + random.int(5, 300), jitterMs: usual.jitterMs * 4 };
    this.troubled(route, 5000, () => {
      for (const direction of ['there', 'back'] as const) route.widen(direction);
    });
  }

  private allStand(): void {
    const { random, network } = this.targets;
    const { localAddress } = this.route();
    const directions: Direction[] = random.chance(0.5) ? ['there', 'back'] : [this.direction()];
    for (const route of network.routes) if (route.localAddress === localAddress) this.standStill(route, directions, 6000);
  }

  /** All routes of a client carry next to nothing one way: answers of two copies come in at the same time, bit by bit. */
  private trickle(): void {
    const { random } = this.targets;
    const client = this.client();
    const direction = random.chance(0.7) ? 'back' : 'there';
    for (const route of this.routesOf(client)) {
      route.narrow[direction] = random.int(5, 50);
      this.troubled(route, 6000, () => route.widen(direction));
    }
  }

  private routesOf({ namespace }: SimClient): SimRoute[] {
    const locals = new Set(namespace.routes.map(({ local }) => local.address));
    return this.targets.network.routes.filter(({ localAddress }) => locals.has(localAddress));
  }

  /** As over a bad radio link: copies come late and all at once, while their path is suspect, and answers stop half-way. */
  private jerks(): void {
    const { random, network } = this.targets;
    const { localAddress } = this.route();
    const directions: Direction[] = random.chance(0.5) ? ['there', 'back'] : [this.direction()];
    for (const route of network.routes)
      if (route.localAddress === localAddress) for (const direction of directions) this.jerk(route, direction);
  }

  private jerk(route: SimRoute, direction: Direction): void {
    const { clock, random } = this.targets;
    let isOver = false;
    const move = (isStanding: boolean): void => {
      if (isOver) return;
      route.stand(direction, isStanding);
      clock.after(isStanding ? random.unit() * random.unit() * JERK_MAX_MS : random.unit() * JERK_MOVES_MS, () => move(!isStanding));
    };
    move(true);
    this.troubled(route, 8000, () => {
      isOver = true;
      route.stand(direction, false);
    });
  }

  /** As the interface watcher sees it; now and then what it says is not so. */
  private loseCarrier(): void {
    const { random, network } = this.targets;
    const client = this.client();
    const { address } = random.pick(client.namespace.routes).local;
    const isTrue = random.chance(0.7);
    client.interfaceChanges(address, 'carrier-lost');
    for (const route of network.routes) if (isTrue && route.localAddress === address) this.standStill(route, ['there', 'back'], 3000);
    this.forAWhile(3000, () => client.interfaceChanges(address, 'carrier-back'));
  }

  private loseAddress(): void {
    const { random, network } = this.targets;
    const client = this.client();
    const { address } = random.pick(client.namespace.routes).local;
    client.interfaceChanges(address, 'address-gone');
    for (const route of network.routes) {
      if (route.localAddress !== address) continue;
      route.reach = 'refused';
      this.troubled(route, 2000, () => {
        route.reach = 'open';
      });
    }
    this.forAWhile(2000, () => client.interfaceChanges(address, 'address-back'));
  }

  private detach(force: boolean): void {
    const { random } = this.targets;
    const client = this.client();
    if (!client.process.isPaused) void client.detach(random.pick(client.users), force, random.unit() * 1000);
  }

  /**
   * The client gives a path up while its requests are under way, or when they have just come, late: and maybe what is to fence them comes
   * later still.
   */
  private giveUp(): void {
    const { random, clock, network } = this.targets;
    const { process, namespace } = this.client();
    const { supervisor, local, remote } = random.pick(namespace.routes);
    const { path } = supervisor;
    const closeWithin = (maxMs: number): void => {
      clock.after(random.unit() * maxMs, () => {
        if (!process.isKilled && !process.isPaused) path?.connection.close('The client lost its carrier', true);
      });
    };
    const isLate = random.chance(0.5);
    for (const route of network.routes) {
      if (route.localAddress !== local.address) continue;
      if (route.address === remote.address)
        this.stall(route, ['there'], 3000, () => {
          if (isLate) closeWithin(300);
        });
      else if (random.chance(0.3)) this.standStill(route, ['there'], 1500);
    }
    if (!isLate) closeWithin(300);
  }

  private killSession(): void {
    const sessions = [...this.server().sessions.values()];
    if (sessions.length === 0) return;
    this.counts.processCrashes++;
    this.targets.random.pick(sessions).kill();
  }

  private endSession(): void {
    const sessions = [...this.server().sessions.values()].filter(({ isEnding, process }) => !isEnding && !process.isPaused);
    if (sessions.length > 0) this.targets.random.pick(sessions).end('E_SHUTTING_DOWN', 'The session is ended');
  }

  private killListener(): void {
    const server = this.server();
    if (!server.isListening) return;
    this.counts.listenerCrashes++;
    this.counts.processCrashes += server.sessions.size;
    server.killListener(this.targets.random.int(1, 1500));
  }

  private killClient(): void {
    const client = this.client();
    if (client.process.isKilled) return;
    this.counts.clientCrashes++;
    client.kill(this.targets.random.int(1, 500));
  }

  private pauseSession(): void {
    const sessions = [...this.server().sessions.values()];
    if (sessions.length > 0) this.pause(this.targets.random.pick(sessions).process, 8000);
  }

  private pause(process: SimProcess, maxMs: number): void {
    if (process.isKilled || process.isPaused) return;
    this.counts.pauses++;
    process.pause();
    this.forAWhile(maxMs, () => process.resume());
  }

  private jump(): void {
    const { random } = this.targets;
    const process = random.chance(0.5) ? this.client().process : this.server().listener;
    process.wallJumpMs += random.int(-3_600_000, 3_600_000);
  }

  /** Nobody listens there any more, and clients are told; later it is as before. */
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
    const { random } = this.targets;
    const storage = this.storage();
    storage.fault = random.pick<Fault>(['read', 'write', 'flush', 'full']);
    this.forAWhile(500, () => {
      storage.fault = 'none';
    });
  }

  private route(): SimRoute {
    return this.targets.random.pick(this.targets.network.routes);
  }

  private direction(): Direction {
    return this.targets.random.pick(['there', 'back'] as const);
  }

  private server(): SimServer {
    return this.targets.random.pick(this.targets.servers);
  }

  private client(): SimClient {
    return this.targets.random.pick(this.targets.clients);
  }

  private storage(): SimStorage {
    return this.targets.random.pick(this.targets.storages);
  }
}
