// The simulated network: routes from a client's interface to a server's, each with latency, bandwidth and faults, and the connections over
// these routes. Connections are reset, stall and deliver late, repeat lost packets (lossy-tcp.ts), or silently lose the bytes of one
// direction or both. Invariant: each direction of a connection is a stream. Bytes never overtake each other, and after a silent loss, all
// later bytes are also lost.

import { CONNECT_TIMEOUT_MS } from '@rsio/protocol/link/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Connector, PathTransport } from '@rsio/protocol/link/path-transport';
import { connectsLaterMs } from './lossy-tcp.ts';
import type { SimClock, SimProcess } from '../base/sim-clock.ts';
import { SimLink } from './sim-link.ts';

export interface RouteShape {
  /** `latencyMs`: least latency of one direction. `jitterMs`: largest random addition. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly bytesPerMs: number;
  /** Chance that a batch arrives in pieces. */
  readonly cutChance: number;
  /** Share of packets in each direction that are lost. The sender repeats lost packets. */
  readonly loss: Readonly<Record<Direction, number>>;
}

export type Direction = 'there' | 'back';

export class SimRoute {
  readonly localAddress: string;
  readonly address: string;
  usual: RouteShape;
  shape: RouteShape;
  /** `refused`: connecting fails; `silent`: connecting times out. */
  reach: 'open' | 'refused' | 'silent' = 'open';
  /** Time since which the route has no fault; infinity: the route has a fault now. */
  goodSinceMs = 0;
  /** Current rate of each direction in bytes per ms; null: as in the shape. */
  readonly narrow: Record<Direction, number | null> = { there: null, back: null };
  /** Current loss of each direction; null: as in the shape. */
  readonly losing: Record<Direction, number | null> = { there: null, back: null };
  private standing: Record<Direction, boolean> = { there: false, back: false };
  private links: SimLink[] = [];
  private troubles = 0;

  constructor(localAddress: string, address: string, usual: RouteShape) {
    this.localAddress = localAddress;
    this.address = address;
    this.usual = usual;
    this.shape = usual;
  }

  /** Connections that have at least one open end. */
  get living(): readonly SimLink[] {
    if (this.links.some((link) => link.isOver)) this.links = this.links.filter((link) => !link.isOver);
    return this.links;
  }

  /** Restores the usual rate of a direction. */
  widen(direction: Direction): void {
    this.narrow[direction] = null;
    this.shape = this.usual;
    for (const link of this.living) link.hasten(direction);
  }

  loseAtMost(share: number): void {
    const { there, back } = this.usual.loss;
    this.usual = { ...this.usual, loss: { there: Math.min(share, there), back: Math.min(share, back) } };
    this.shape = this.usual;
  }

  bytesPerMs(direction: Direction): number {
    return this.narrow[direction] ?? this.shape.bytesPerMs;
  }

  loss(direction: Direction): number {
    return this.losing[direction] ?? this.shape.loss[direction];
  }

  add(link: SimLink): void {
    this.links.push(link);
    link.stand('there', this.standing.there);
    link.stand('back', this.standing.back);
  }

  reset(): void {
    for (const link of this.living) link.reset();
  }

  stand(direction: Direction, isStanding: boolean): void {
    this.standing[direction] = isStanding;
    for (const link of this.living) link.stand(direction, isStanding);
  }

  /**
   * Stalls the existing connections in this direction, and returns a function that ends the stall. A new connection works at once. On real
   * routes, TCP also repeats packets of an old connection ever more rarely.
   */
  stall(direction: Direction): () => void {
    const links = [...this.living];
    for (const link of links) link.stand(direction, true);
    return () => {
      for (const link of links) link.stand(direction, this.standing[direction]);
    };
  }

  /** Loses all bytes of the existing connections in this direction: the bytes in flight and all later bytes. A new connection works. */
  lose(direction: Direction): void {
    for (const link of this.living) link.lose(direction);
  }

  troubleBegins(): void {
    this.troubles++;
    this.goodSinceMs = Number.POSITIVE_INFINITY;
  }

  troubleEnds(nowMs: number): void {
    this.troubles--;
    if (this.troubles === 0) this.goodSinceMs = nowMs;
  }
}

/** Accepts connections at an address. */
export interface SimHost {
  /** False: no process listens. */
  readonly isListening: boolean;
  accept(link: SimLink, route: SimRoute): void;
}

export class SimNetwork {
  readonly routes: SimRoute[] = [];
  private readonly byAddresses = new Map<string, SimRoute>();
  private readonly hosts = new Map<string, SimHost>();
  private readonly clock: SimClock;
  private readonly random: SeededRandom;

  constructor(clock: SimClock, random: SeededRandom) {
    this.clock = clock;
    this.random = random;
  }

  addRoute(localAddress: string, address: string, host: SimHost, shape: RouteShape): SimRoute {
    const route = new SimRoute(localAddress, address, shape);
    this.routes.push(route);
    this.byAddresses.set(`${localAddress} ${address}`, route);
    this.hosts.set(address, host);
    return route;
  }

  routeOf(localAddress: string, address: string): SimRoute | null {
    return this.byAddresses.get(`${localAddress} ${address}`) ?? null;
  }

  connectorOf(process: SimProcess): Connector {
    return {
      connect: (localAddress, address, _port, opened, failed) => this.connect(process, localAddress, address, opened, failed),
    };
  }

  private connect(
    process: SimProcess,
    localAddress: string,
    address: string,
    opened: (transport: PathTransport) => void,
    failed: (reason: string) => void,
  ): { cancel(): void } {
    const route = this.routeOf(localAddress, address);
    const host = this.hosts.get(address);
    if (route === null || host === undefined) return process.after(0, () => failed('ENETUNREACH: no route to there'));
    if (route.reach === 'silent') return process.after(CONNECT_TIMEOUT_MS, () => failed('ETIMEDOUT: no answer'));
    const tripMs = 2 * (route.shape.latencyMs + this.random.unit() * route.shape.jitterMs);
    const lateMs = connectsLaterMs(this.random, Math.max(route.loss('there'), route.loss('back')));
    // A connect that would take longer fails at the time-out of the transport. The client tries again and may then succeed.
    if (tripMs + lateMs > CONNECT_TIMEOUT_MS) return process.after(CONNECT_TIMEOUT_MS, () => failed('ETIMEDOUT: no answer'));
    return process.after(tripMs + lateMs, () => {
      if (route.reach !== 'open' || !host.isListening) {
        failed('ECONNREFUSED: nothing listens there');
        return;
      }
      const link = new SimLink(this.clock, this.random, route, process);
      route.add(link);
      host.accept(link, route);
      opened(link.client);
    });
  }
}
