// Faults of routes and their connections: broken, silent, slow, jerky, losing packets, without carrier or address. sim-faults.ts has the
// faults that do not concern routes. That file decides how often a fault begins, and ends every fault, including those of this file.

import type { SimClient } from '../machines/sim-client.ts';
import type { Direction, SimRoute } from '../network/sim-network.ts';
import type { Targets } from './sim-targets.ts';

/** Relative frequency, name and action. */
export type FaultKind = readonly [number, string, () => void];

/** A jerky connection alternates: it stalls for at most JERK_MAX_MS, and then carries bytes for at most JERK_MOVES_MS. */
const JERK_MAX_MS = 1000;
const JERK_MOVES_MS = 20;
/** Times in ms for which a flapping carrier is lost or present. */
const FLAP_MS = [50, 200, 1000, 2000];

export class RouteFaults {
  readonly kinds: readonly FaultKind[];
  private readonly targets: Targets;
  private readonly faults: { forAWhile(maxMs: number, end: () => void): void };

  /** `forAWhile` calls `end` after up to `maxMs`, or when all faults are healed. */
  constructor(targets: Targets, faults: { forAWhile(maxMs: number, end: () => void): void }) {
    this.targets = targets;
    this.faults = faults;
    this.kinds = [
      [8, 'reset', () => this.route().reset()],
      [4, 'one way stalls', () => this.stallWays(this.route(), [this.direction()], 2500)],
      [4, 'one way of the connections stalls', () => this.stallOne()],
      [2, 'both ways stall', () => this.stallWays(this.route(), ['there', 'back'], 2500)],
      [1, 'one way stalls for long', () => this.stallWays(this.route(), [this.direction()], 90_000)],
      [3, 'one way is lost', () => this.route().lose(this.direction())],
      [2, 'black hole', () => this.blackHole(this.route())],
      [2, 'unreachable', () => this.unreachable(this.route())],
      [2, 'slow route', () => this.slowRoute(this.route())],
      [2, 'all routes of a client stall', () => this.allStand()],
      [2, 'packets are lost', () => this.losePackets()],
      [4, 'jerks', () => this.jerks()],
      [4, 'trickle', () => this.trickle()],
      [3, 'carrier lost', () => this.loseCarrier()],
      [1, 'carrier flaps', () => this.flap()],
      [3, 'address gone', () => this.loseAddress()],
      [6, 'the client gives a path up', () => this.giveUp()],
    ];
  }

  private troubled(route: SimRoute, maxMs: number, end: () => void): void {
    route.troubleBegins();
    this.faults.forAWhile(maxMs, () => {
      end();
      route.troubleEnds(this.targets.clock.monotonicMs());
    });
  }

  private stallWays(route: SimRoute, directions: readonly Direction[], maxMs: number): void {
    for (const direction of directions) route.stand(direction, true);
    this.troubled(route, maxMs, () => {
      for (const direction of directions) route.stand(direction, false);
    });
  }

  /** Stalls the connections that exist now; a later connection over the route works at once. */
  private stall(route: SimRoute, directions: readonly Direction[], maxMs: number, then: () => void = () => undefined): void {
    const ends = directions.map((direction) => route.stall(direction));
    this.troubled(route, maxMs, () => {
      for (const end of ends) end();
      then();
    });
  }

  /** Stalls a connection, which sometimes breaks right after the stall. */
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

  /**
   * The route loses some packets, as with a bad plug. The judges still treat the route as one without a fault, because TCP sends lost
   * packets again.
   */
  private losePackets(): void {
    const { random } = this.targets;
    const route = this.route();
    const directions: Direction[] = random.chance(0.5) ? ['there', 'back'] : [this.direction()];
    for (const direction of directions) route.losing[direction] = random.pick([0.01, 0.05, 0.2]);
    this.faults.forAWhile(8000, () => {
      for (const direction of directions) route.losing[direction] = null;
    });
  }

  private allStand(): void {
    const { random, network } = this.targets;
    const { localAddress } = this.route();
    const directions: Direction[] = random.chance(0.5) ? ['there', 'back'] : [this.direction()];
    for (const route of network.routes) if (route.localAddress === localAddress) this.stallWays(route, directions, 6000);
  }

  /**
   * All routes of a client become so slow in one direction that the answers to two copies of a request arrive in small parts at the same
   * time.
   */
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

  /**
   * The route alternately carries bytes and stalls, like a bad radio link. Copies of requests arrive late and all at once while their path
   * is suspect, and an answer may stop in the middle.
   */
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

  /** Reports a lost carrier to the interface watcher of the client. The report is sometimes wrong. */
  private loseCarrier(): void {
    const { random, network } = this.targets;
    const client = this.client();
    const { address } = random.pick(client.namespace.routes).local;
    const isTrue = random.chance(0.7);
    client.interfaceChanges(address, 'carrier-lost');
    for (const route of network.routes) if (isTrue && route.localAddress === address) this.stallWays(route, ['there', 'back'], 3000);
    this.faults.forAWhile(3000, () => client.interfaceChanges(address, 'carrier-back'));
  }

  /** Makes the carrier of an interface disappear and return several times. */
  private flap(): void {
    const { random, network, clock } = this.targets;
    const client = this.client();
    const { address } = random.pick(client.namespace.routes).local;
    const routes = network.routes.filter(({ localAddress }) => localAddress === address);
    const periodMs = random.pick(FLAP_MS);
    let isOver = false;
    const move = (isDown: boolean): void => {
      if (isOver) return;
      for (const route of routes) for (const direction of ['there', 'back'] as const) route.stand(direction, isDown);
      client.interfaceChanges(address, isDown ? 'carrier-lost' : 'carrier-back');
      clock.after(periodMs, () => move(!isDown));
    };
    move(true);
    for (const route of routes) route.troubleBegins();
    this.faults.forAWhile(10_000, () => {
      move(false);
      isOver = true;
      for (const route of routes) route.troubleEnds(clock.monotonicMs());
    });
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
    this.faults.forAWhile(2000, () => client.interfaceChanges(address, 'address-back'));
  }

  /**
   * The client closes a path while requests on the path are in flight or have just arrived late. The FENCE for these requests may arrive
   * even later.
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
      else if (random.chance(0.3)) this.stallWays(route, ['there'], 1500);
    }
    if (!isLate) closeWithin(300);
  }

  private route(): SimRoute {
    return this.targets.random.pick(this.targets.network.routes);
  }

  private direction(): Direction {
    return this.targets.random.pick(['there', 'back'] as const);
  }

  private client(): SimClient {
    return this.targets.random.pick(this.targets.clients);
  }
}
