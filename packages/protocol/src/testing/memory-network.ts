// An in-memory network of routes. Each route leads from one client address to one server address. A route lists the links that were opened
// on it, including some that are closed. A test can refuse or ignore connections, reset links, and stall one direction of a link.

import type { Clock } from '@rsio/base/lib/clock';
import type { Connector, PathTransport } from '../link/path-transport.ts';
import { type LinkShape, MemoryEnd, MemoryLink } from './memory-transport.ts';

export class MemoryRoute {
  readonly localAddress: string;
  readonly address: string;
  /** `refused`: connecting fails. `silent`: connecting times out. */
  reach: 'open' | 'refused' | 'silent' = 'open';
  links: MemoryLink[] = [];

  constructor(localAddress: string, address: string) {
    this.localAddress = localAddress;
    this.address = address;
  }

  /** Links of which at least one end is still open. */
  get living(): MemoryLink[] {
    this.links = this.links.filter((link) => !link.isOver);
    return this.links;
  }

  reset(): void {
    for (const link of this.living) link.reset();
  }

  stand(direction: 'there' | 'back', isStanding: boolean): void {
    for (const link of this.living) link.stand(direction, isStanding);
  }

  heal(): void {
    this.reach = 'open';
    this.stand('there', false);
    this.stand('back', false);
  }
}

const CONNECT_TIMEOUT_MS = 1_000;

export class MemoryNetwork implements Connector {
  readonly routes: MemoryRoute[] = [];
  private readonly clock: Clock;
  private readonly shape: LinkShape;
  private readonly accept: (end: MemoryEnd, route: MemoryRoute) => void;

  constructor(clock: Clock, shape: LinkShape, accept: (end: MemoryEnd, route: MemoryRoute) => void) {
    this.clock = clock;
    this.shape = shape;
    this.accept = accept;
  }

  addRoute(localAddress: string, address: string): MemoryRoute {
    const route = new MemoryRoute(localAddress, address);
    this.routes.push(route);
    return route;
  }

  connect(
    localAddress: string,
    address: string,
    port: number,
    opened: (transport: PathTransport) => void,
    failed: (reason: string) => void,
  ): { cancel(): void } {
    const route = this.routes.find((candidate) => candidate.localAddress === localAddress && candidate.address === address);
    if (route === undefined || route.reach === 'refused')
      return timerOf(this.clock, 1, () => failed('ECONNREFUSED: nothing listens there'));
    if (route.reach === 'silent') return timerOf(this.clock, CONNECT_TIMEOUT_MS, () => failed('ETIMEDOUT: no answer'));
    return timerOf(this.clock, this.shape.travelMs(), () => {
      const link = new MemoryLink(this.clock, this.shape, localAddress, address, port);
      route.links.push(link);
      this.accept(link.server, route);
      opened(link.client);
    });
  }
}

function timerOf(clock: Clock, delayMs: number, fire: () => void): { cancel(): void } {
  return clock.after(delayMs, fire);
}
