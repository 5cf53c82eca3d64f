// Replaces plain connections if the configuration demands encryption, and encrypted ones if it demands plain connections. Also replaces
// encrypted connections that have carried TLS_CONNECTION_MAX_BYTES. The old connection is closed only when the new one is up. I/O therefore
// does not wait, and no path is lost if a server refuses the new setting. Invariant: each server has at most one replacement at a time. A
// replacement is closed if its route is no longer wanted, or if the route no longer needs a replacement.

import { TLS_CONNECTION_MAX_BYTES } from './limits.ts';
import type { PathSupervisor } from './path-supervisor.ts';

export interface RenewedRoute {
  supervisor: PathSupervisor;
  /**
   * The supervisor of the new connection, which connects while the old one is still in use; null if the old connection needs no replacement
   * or waits for its turn.
   */
  replacement: PathSupervisor | null;
  readonly server: object | null;
}

export interface RenewalPorts<R> {
  replacementFor(route: R): PathSupervisor;
  /** Called when a replacement is up and `route.supervisor` has become the supervisor of the new connection. */
  replaced(route: R): void;
}

/**
 * Must be called after each change of the routes and of their states and, if `tls` is true, every RENEWAL_LOOK_MS. `tls` is true if the
 * configuration demands encryption.
 */
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

/**
 * Ends the replacement of a route. Must be called when the route is no longer wanted, and when the configuration has changed since the
 * replacement was started.
 */
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
