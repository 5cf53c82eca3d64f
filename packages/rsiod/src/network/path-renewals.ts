// Replaces connections that are plain although the configuration demands encrypted ones, or the reverse, and encrypted ones whose keys have
// protected enough. Each replacement connects beside the old connection, which ends only when the new one is up. No I/O therefore waits, and
// a server that refuses the new setting takes no path away. Invariant: each server has at most one replacement at a time, and a replacement
// whose route is gone or as demanded is retired.

import type { PathSupervisor } from '@rsio/protocol/client/path-supervisor';

import { TLS_CONNECTION_MAX_BYTES } from './limits.ts';

export interface RenewedRoute {
  supervisor: PathSupervisor;
  /** Connects beside a connection that it is to replace; null if the connection is as demanded, or waits for its turn. */
  replacement: PathSupervisor | null;
  readonly server: object | null;
}

export interface RenewalPorts<R> {
  /** Makes a supervisor for the ends of this route. */
  replacementFor(route: R): PathSupervisor;
  /** Called when `supervisor` of the route has replaced the one before. */
  replaced(route: R): void;
}

/** Must be called after each change of the routes and of their states, and with `tls` every RENEWAL_LOOK_MS. `tls`: what the configuration demands. */
export function renewPaths<R extends RenewedRoute>(routes: readonly R[], tls: boolean, ports: RenewalPorts<R>): void {
  for (const route of routes) {
    if (route.replacement !== null && route.replacement.path !== null) replace(route, route.replacement, ports);
    else if (!isOutdated(route, tls)) endReplacement(route);
  }
  const busy = new Set(routes.flatMap(({ replacement, server }) => (replacement === null ? [] : [server])));
  for (const route of routes) {
    if (!isOutdated(route, tls) || busy.has(route.server)) continue;
    busy.add(route.server);
    route.replacement = ports.replacementFor(route);
    route.replacement.start();
  }
}

/** Must be called when a route is not wanted any more, and when its replacement would connect with an old configuration. */
export function endReplacement(route: RenewedRoute): void {
  const { replacement } = route;
  route.replacement = null;
  replacement?.retire('it is not needed any more');
}

function isOutdated({ supervisor: { path } }: RenewedRoute, tls: boolean): boolean {
  if (path === null) return false;
  const { transport, sentBytes, receivedBytes } = path.connection;
  return (transport.cipher !== null) !== tls || (tls && Math.max(sentBytes, receivedBytes) >= TLS_CONNECTION_MAX_BYTES);
}

function replace<R extends RenewedRoute>(route: R, next: PathSupervisor, ports: RenewalPorts<R>): void {
  const old = route.supervisor;
  route.supervisor = next;
  route.replacement = null;
  old.retire('another connection has replaced it');
  next.continueFrom(old);
  ports.replaced(route);
}
