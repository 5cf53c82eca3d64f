// One configured namespace: its routes, each with a supervisor that keeps a path up, and the servers that these routes have reached. The
// module route-plan.ts decides which routes are wanted; this module starts and retires their supervisors. Invariant: the serverid
// identifies a server, and all paths to that server belong to one trunk.

import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import type { ClientIdentity } from '@rsio/protocol/auth/handshake-client';
import type { RandomBytes } from '@rsio/protocol/auth/handshake-frames';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { endPointKey } from '@rsio/base/lib/subnet';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Log } from '@rsio/base/log/log';
import type { PathState } from '@rsio/base/lib/path-states';
import { SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { RENEWAL_LOOK_MS } from '@rsio/protocol/client/limits';
import { ROUTES_FOLLOW_MS } from './limits.ts';
import type { ConnectionPools } from '@rsio/protocol/link/connection';
import type { Connector } from '@rsio/protocol/link/path-transport';
import { PathSupervisor, type SupervisorPorts } from '@rsio/protocol/client/path-supervisor';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import type { Challenge } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Identity } from '@rsio/protocol/client-identity';
import type { TriedPath } from './unreachable-servers.ts';
import {
  type LeftOut,
  type LocalInterface,
  planRoutes,
  type RemoteEnd,
  type RouteEnds,
  routeKey,
  type RouteSituation,
  type ServerPicture,
  sectionOf,
  sectionsByEndPoint,
} from './route-plan.ts';
import { endReplacement, renewPaths, type RenewedRoute } from '@rsio/protocol/client/path-renewals';
import type { KnownServers } from './known-servers.ts';
import { Server, type ServerEvents } from './server.ts';
import type { InterfaceEvent } from '../sys/interface-table.ts';
import { ConnectionLimiter } from './connection-limiter.ts';
import { FailedTries } from './failed-tries.ts';

/** A wanted path and its supervisor. */
export interface Route extends RouteEnds, RenewedRoute {
  /** The two addresses of a route never change, but the names of its two ends may change. */
  local: LocalInterface;
  remote: RemoteEnd;
  /** The server that this route has reached; null before the first CHALLENGE. */
  server: Server | null;
  /** Name of the server in the last CHALLENGE received over this route. The name is unproven until the server has proved its identity. */
  serverName: string;
}

export interface NamespacePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly connector: Connector;
  readonly random: RandomBytes;
  readonly pools: ConnectionPools;
  readonly events: ServerEvents;
  /** True in the main process if data processes have the volumes; the client can then use only servers that support data processes. */
  readonly hasDataProcesses: boolean;
  /** Where servers were found by earlier processes of this client. */
  readonly known: Pick<KnownServers, 'of' | 'serveridAt' | 'learned'>;
  /** Number of servers with a proven identity in all namespaces. */
  serverCount(): number;
  pathChanged(route: Route, from: PathState, to: PathState, reason: string): void;
}

/** The configuration of a namespace. Everything except name, namespaceid and nodename may change at runtime. */
export interface NamespaceSetup {
  readonly whole: Pick<RscltConfig, 'defaultPort'>;
  readonly config: ClientNamespaceConfig;
  readonly locals: readonly LocalInterface[];
}

export class Namespace {
  readonly servers = new Map<number, Server>();
  routes: readonly Route[] = [];
  /** End points for which the current plan has no route, each with the reason. */
  leftOut: readonly LeftOut[] = [];
  private setup: NamespaceSetup;
  /** Grows whenever the setup, the routes, their servers or the set of servers change. */
  private revision = 0;
  /** The servers in order, cached for one sum of revisions, because each event of each path needs the order. */
  private ordered: { readonly revision: number; readonly servers: readonly Server[] } | null = null;
  private keys: { readonly setup: NamespaceSetup; readonly bySection: ReadonlyMap<number, readonly string[]> } | null = null;
  private readonly identity: Identity;
  private readonly ports: NamespacePorts;
  private readonly limiter: ConnectionLimiter;
  private readonly lines: RateLimitedLog;
  private state: 'new' | 'running' | 'stopped' = 'new';
  private followTimer: Timer | null = null;
  private renewTimer: Timer | null = null;

  constructor(setup: NamespaceSetup, identity: Identity, ports: NamespacePorts) {
    this.setup = setup;
    this.identity = identity;
    this.ports = ports;
    this.limiter = new ConnectionLimiter(ports.clock);
    this.lines = new RateLimitedLog(ports.clock, ports.log);
    this.follow();
  }

  get tried(): TriedPath[] {
    return this.routes.map(({ remote: { name, address }, port, server, supervisor }) => {
      return { name, address, port, isConnected: server?.isConnected === true, error: supervisor.lastError };
    });
  }

  /** Number of servers with a proven identity in this namespace. */
  get provedServers(): number {
    return [...this.servers.values()].filter(({ isProved }) => isProved).length;
  }

  get config(): ClientNamespaceConfig {
    return this.setup.config;
  }

  start(): void {
    // The known servers were loaded after the first plan was made.
    this.follow();
    this.state = 'running';
    for (const route of this.routes) route.supervisor.start();
  }

  /** True if every path has been tried and every connected server has sent its list. */
  get isSettled(): boolean {
    const isOpen = ({ supervisor: { state, retries, lastError } }: Route): boolean =>
      state === 'down' ? lastError === null : (state === 'connecting' || state === 'proving') && retries === 0;
    const isListed = [...this.servers.values()].every((server) => server.isListed || !server.isConnected);
    return this.followTimer === null && isListed && !this.routes.some(isOpen);
  }

  /** Closes all paths, and answers all requests in flight with `status`. */
  stop(status: number, reason: string): void {
    this.state = 'stopped';
    this.followTimer?.cancel();
    this.followTimer = null;
    this.renewTimer?.cancel();
    for (const server of this.servers.values()) server.trunk.end(status, reason);
    for (const route of this.routes) this.retire(route, reason);
    this.lines.close();
  }

  /** Applies a new configuration or new facts about the client's interfaces. Paths that the new plan still contains stay open. */
  change(setup: NamespaceSetup): void {
    this.setup = setup;
    this.revision++;
    const { heartbeatMs, suspectMs, deadMs } = setup.config;
    for (const { trunk } of this.servers.values()) trunk.setTimes({ heartbeatMs, suspectMs, deadMs });
    for (const route of this.routes) endReplacement(route);
    this.follow();
    // Retry the paths that are down, because a server may now accept a key that it refused before.
    for (const { supervisor } of this.routes) if (supervisor.path === null) supervisor.routeOpened();
  }

  /** Returns the servers with attached volumes that no `[server]` section of the new configuration leads to. */
  lostBy(setup: NamespaceSetup): Server[] {
    const sections = sectionsByEndPoint(setup);
    return [...this.servers.values()].filter(
      (server) => server.trunk.attachments.length > 0 && sectionOf(sections, this.pictureOf(server)) === null,
    );
  }

  /**
   * Maps the position of each `[server]` section to its server, even if the plan contains no path for the section. Sections whose server
   * has not proved its identity are absent.
   */
  serversBySection(): ReadonlyMap<number, Server> {
    const { config } = this.setup;
    const found = new Map<number, Server>();
    for (const { remote, server } of this.routes)
      if (remote.position !== null && server?.isProved === true) found.set(remote.position, server);
    const left = config.servers.filter(({ position }) => !found.has(position));
    if (left.length === 0) return found;
    const known = new Map<string, Server>();
    for (const server of [...this.servers.values()].reverse()) {
      if (!server.isProved) continue;
      for (const keys of [server.named, server.metAt]) for (const key of keys) known.set(key, server);
    }
    if (known.size === 0) return found;
    const keys = this.sectionKeys();
    for (const { position } of left) {
      const server = keys
        .get(position)
        ?.map((key) => known.get(key))
        .find((one) => one !== undefined);
      if (server !== undefined) found.set(position, server);
    }
    return found;
  }

  /** The serverid of the server to which a section has led for an earlier process; null if it has led to none. */
  serveridOf(position: number): number | null {
    return this.ports.known.serveridAt(this.config.namespaceid, this.sectionKeys().get(position) ?? []);
  }

  /**
   * Maps the position of each `[server]` section to its end points. Computed only once for each setup, because this client may have 2,048
   * sections.
   */
  private sectionKeys(): ReadonlyMap<number, readonly string[]> {
    const { setup } = this;
    if (this.keys?.setup === setup) return this.keys.bySection;
    const { whole, config, locals } = setup;
    const bySection = new Map<number, readonly string[]>();
    for (const section of config.servers) {
      const ports = new Set(locals.map((local) => targetPort(whole, config, section, local)));
      bySection.set(
        section.position,
        [...ports].map((port) => endPointKey(section.address, port)),
      );
    }
    this.keys = { setup, bySection };
    return bySection;
  }

  /** The servers in the order of the configuration; the order in which they answered does not matter. */
  get orderedServers(): Server[] {
    let revision = this.revision;
    for (const { endPointsRevision } of this.servers.values()) revision += endPointsRevision;
    if (this.ordered?.revision !== revision) {
      const found = this.serversBySection();
      const led = this.config.servers.flatMap(({ position }) => found.get(position) ?? []);
      this.ordered = { revision, servers: [...new Set([...led, ...this.servers.values()])] };
    }
    return [...this.ordered.servers];
  }

  /** True if a server answers for each `[server]` section, and all servers have listed their volumes. */
  get hasAllLists(): boolean {
    const areFound = this.serversBySection().size === this.config.servers.length;
    return areFound && this.orderedServers.every((one) => one.isConnected && one.isListed);
  }

  /**
   * Called when a local address or the state of its interface has changed. Paths from the address react at once, without waiting for a
   * time-out or back-off.
   */
  interfaceChanged({ address, change, sentence }: InterfaceEvent): void {
    for (const { local, supervisor } of this.routes) {
      if (local.address !== address) continue;
      if (change === 'carrier-lost') supervisor.distrust(sentence);
      else if (change === 'address-gone') supervisor.cut(sentence);
      else supervisor.routeOpened();
    }
  }

  /**
   * Returns the target port of a `[server]` section for connections from the client's first interface. `sectionPort` is null if the section
   * sets no port.
   */
  portOf(sectionPort: number | null): number {
    const { whole, config, locals } = this.setup;
    return targetPort(whole, config, { port: sectionPort }, locals[0] ?? { portGiven: null });
  }

  /** Makes a new plan, and starts and retires supervisors to match it. */
  private follow(): void {
    this.followTimer?.cancel();
    this.followTimer = null;
    const plan = planRoutes(this.situation());
    const wanted = new Map(plan.wanted.map((ends) => [routeKey(ends), ends]));
    const known = new Map(this.routes.map((route) => [routeKey(route), route]));
    this.leftOut = plan.leftOut;
    this.revision++;
    this.routes = [...wanted].map(([key, ends]) => this.routeFor(ends, known.get(key)));
    if (this.state === 'running') for (const route of this.routes) if (!known.has(routeKey(route))) route.supervisor.start();
    for (const [key, route] of known) if (!wanted.has(key)) this.retire(route, this.reasonAgainst(route));
    this.forgetServers();
    if (this.state !== 'running') return;
    this.rememberServers();
    this.renew();
  }

  private retire(route: Route, reason: string): void {
    endReplacement(route);
    route.supervisor.retire(reason);
  }

  private renew(): void {
    this.renewTimer?.cancel();
    this.renewTimer = this.config.tls ? this.ports.clock.after(RENEWAL_LOOK_MS, () => this.renew()) : null;
    renewPaths(this.routes, this.config.tls, {
      replacementFor: (route) => this.supervisorOf(route, () => route, route.supervisor),
      replaced: ({ local, remote, port, supervisor: { path } }) => {
        const cipher = path?.connection.transport.cipher ?? null;
        this.ports.log.info(
          `rep ${remote.address}/${port} of ${local.name} is now ${cipher === null ? 'plain' : `encrypted with ${cipher}`}`,
        );
      },
    });
  }

  /** Schedules `follow`. The delay keeps the routes unchanged while a loop visits them, and combines changes of many paths. */
  private wantFollow(): void {
    if (this.state === 'running') this.followTimer ??= this.ports.clock.after(ROUTES_FOLLOW_MS, () => this.follow());
  }

  private situation(): RouteSituation {
    return { ...this.setup, servers: this.pictures(), hints: this.hints() };
  }

  private pictures(): ServerPicture[] {
    return [...this.servers.values()].map((server) => this.pictureOf(server));
  }

  private hints(): ServerPicture[] {
    const unmet = this.ports.known.of(this.config.namespaceid).filter(({ serverid }) => this.servers.get(serverid)?.isProved !== true);
    return unmet.map(({ sections, ...server }) => ({ ...server, named: new Set(sections), metAt: new Set(), living: [] }));
  }

  /** Remembers the servers that have reported their interfaces and to which a section leads. */
  private rememberServers(): void {
    const sections = sectionsByEndPoint(this.setup);
    for (const { serverid, name, interfaces, named, metAt, isProved } of this.servers.values()) {
      const keys = [...new Set([...metAt, ...named])].filter((key) => sections.has(key));
      if (!isProved || interfaces.length === 0 || keys.length === 0) continue;
      this.ports.known.learned({ namespaceid: this.config.namespaceid, serverid, name, interfaces, sections: keys.toSorted() });
    }
  }

  private pictureOf(server: Server): ServerPicture {
    const { serverid, name, interfaces, named, metAt } = server;
    const living = this.routes.filter((route) => route.server === server && route.supervisor.path !== null);
    return { serverid, name, interfaces, named, metAt, living };
  }

  private routeFor(ends: RouteEnds, known: Route | undefined): Route {
    if (known !== undefined) {
      known.local = ends.local;
      known.remote = ends.remote;
      known.supervisor.identity = this.identityFor(ends);
      return known;
    }
    const supervisor = this.supervisorOf(ends, () => route);
    const route: Route = { ...ends, server: null, serverName: '', supervisor, replacement: null };
    return route;
  }

  private reasonAgainst({ local, remote, port }: Route): string {
    if (!this.setup.locals.some(({ address }) => address === local.address))
      return `interface ${local.name} was removed from the configuration`;
    const found = this.leftOut.find((one) => one.address === remote.address && (one.port ?? port) === port);
    return found?.reason ?? (remote.serverid === null ? 'it was removed from the configuration' : 'its server does not list it any more');
  }

  private forgetServers(): void {
    for (const server of [...this.servers.values()]) this.forgetUnused(server);
  }

  private forgetUnused(server: Server): void {
    if (server.trunk.attachments.length > 0 || this.routes.some((route) => route.server === server)) return;
    this.servers.delete(server.serverid);
    // The sum of revisions must grow, although the revision of this server is no longer part of the sum.
    this.revision += server.endPointsRevision + 1;
    server.trunk.end(STATUS.IO_ERROR, 'The client has no path to this server any more');
  }

  private identityFor({ local, remote }: RouteEnds): ClientIdentity {
    const { namespaceid, nodename, nodekey, digest, tls } = this.setup.config;
    const features = [
      ...(digest ? [FEATURE.DIGEST] : []),
      ...[FEATURE.REVOKE, FEATURE.ADMIN, FEATURE.MIRROR],
      ...(tls ? [FEATURE.TLS] : []),
      ...(this.ports.hasDataProcesses ? [FEATURE.DATA_PROCESSES] : []),
    ];
    return {
      nodekey,
      serverkey: remote.serverkey,
      hello: { versions: PROTOCOL_VERSIONS, features, namespaceid, node: nodename, ...this.identity, interface: local.name },
    };
  }

  /** `replaced`: the supervisor whose connection the new supervisor is to replace; null if the new supervisor is not a replacement. */
  private supervisorOf(ends: RouteEnds, route: () => Route, replaced: PathSupervisor | null = null): PathSupervisor {
    const { clock, connector, random, pools, log } = this.ports;
    const endPoints = { localAddress: ends.local.address, address: ends.remote.address, port: ends.port };
    const turn = {};
    const tries = new FailedTries();
    const ports: SupervisorPorts = {
      clock,
      connector: this.limiter.connector(turn, connector),
      random,
      pools,
      trunkFor: (supervisor, challenge) => this.trunkFor(route(), supervisor, challenge),
      stateChanged: (supervisor, from, to, reason) => {
        if (to !== 'connecting' && to !== 'proving') this.limiter.leave(turn);
        const more = log.isDebug === true ? '' : tries.changed(supervisor, { from, to, reason }, clock.monotonicMs());
        if (supervisor !== route().supervisor)
          return more === null ? undefined : this.besideChanged(route(), supervisor, to, `${reason}${more}`);
        const { local, remote, port } = route();
        const pathLog = log.child({ path: `${supervisor.lastNumber}-${local.name}-tx0` });
        const rep = `rep ${remote.address}/${port}`;
        const note = (write: () => void): void => this.lines.note(`Path of ${local.name} to ${rep}`, write);
        if (to === 'down' && reason !== '' && more !== null) note(() => pathLog.warn(`${rep} is down: ${reason}${more}`));
        else if (to === 'suspect' || to === 'probation' || to === 'retired') note(() => pathLog.info(`${rep} is ${to}: ${reason}`));
        // `lastError` may be the error of an earlier attempt, so it is passed on only if it is also the reason of this change of state.
        if (from === 'proving' && reason === supervisor.lastErrorSentence) route().server?.connectionFailed(supervisor.lastError!);
        if (isAlive(to) && !isAlive(from)) this.pathLives(route());
        if (isAlive(from)) this.pathLost(route());
        // The plan depends on which paths are up.
        if (isAlive(from) !== isAlive(to)) this.wantFollow();
        this.ports.pathChanged(route(), from, to, reason);
      },
    };
    return new PathSupervisor(endPoints, this.identityFor(ends), ports, replaced);
  }

  /** Called when a second connection of a route changes its state: a replacement that is not up yet, or a connection that was replaced. */
  private besideChanged({ local, remote, port, replacement }: Route, supervisor: PathSupervisor, to: PathState, reason: string): void {
    if (to === 'up') this.wantFollow();
    if (to !== 'down' || supervisor !== replacement || reason === '') return;
    const rep = `rep ${remote.address}/${port} of ${local.name}`;
    this.lines.note(`Replacement of ${rep}`, () =>
      this.ports.log.warn(`${rep} keeps its connection, because the new one failed: ${reason}`),
    );
  }

  /** Called when a path is up. The path's end point now belongs only to the server that has proved its identity there. */
  private pathLives({ server, serverName, remote, port }: Route): void {
    const key = endPointKey(remote.address, port);
    for (const one of this.servers.values()) if (one !== server && one.metAt.delete(key)) one.endPointsRevision++;
    if (server === null) return;
    const known = this.ports.known.of(this.config.namespaceid).find(({ serverid }) => serverid === server.serverid);
    server.proved(serverName, key, server.isProved ? [] : (known?.sections ?? []));
  }

  /** If a server has lost its last path, its other routes retry without back-off or probation. */
  private pathLost(lost: Route): void {
    if (lost.server === null || lost.server.isConnected) return;
    for (const route of this.routes) if (route !== lost && route.server === lost.server) route.supervisor.retrySoon();
  }

  private hastenAll(server: Server): void {
    for (const route of this.routes) if (route.server === server) route.supervisor.retrySoon();
  }

  private trunkFor(route: Route, supervisor: PathSupervisor, challenge: Challenge): Trunk {
    const { remote } = route;
    if (supervisor !== route.supervisor && challenge.serverid !== route.server?.serverid)
      throw new RsError(
        'E_PROTOCOL',
        `Server ${challenge.server} answers at ${remote.address}, where a path of another server is still up`,
      );
    if (remote.serverid !== null && remote.serverid !== challenge.serverid) {
      throw new RsError(
        'E_PROTOCOL',
        `Server ${challenge.server} (serverid ${challenge.serverid}) answers at ${remote.address}, which serverid ${remote.serverid} names as its own: correct [interface] in the rssrvcfg of one of them`,
      );
    }
    const server = this.servers.get(challenge.serverid) ?? this.newServer(challenge);
    server.meet(challenge, remote.address);
    const before = route.server;
    if (route.server !== server) this.revision++;
    route.server = server;
    route.serverName = challenge.server;
    // Keep at most one unproven server for each address; otherwise, a hostile peer could add a server with each CHALLENGE.
    if (before !== null && !before.isProved) this.forgetUnused(before);
    return server.trunk;
  }

  private newServer(challenge: Challenge): Server {
    if (this.ports.serverCount() >= SERVERS_PER_CLIENT_MAX) {
      throw new RsError(
        'E_LIMIT',
        `Server ${challenge.server} of namespace ${this.config.name} would be one more than the ${SERVERS_PER_CLIENT_MAX} servers that a client may have: remove its [server] sections, or those of another one, and run rsconfig reload`,
      );
    }
    const { heartbeatMs, suspectMs, deadMs } = this.config;
    const server = new Server(challenge, { heartbeatMs, suspectMs, deadMs }, this.ports.clock, {
      ...this.ports.events,
      namespace: this.config.name,
      sessionBegan: (began, again) => {
        this.hastenAll(began);
        this.ports.events.sessionBegan(began, again);
      },
      nodename: () => this.config.nodename,
      allQuiet: (server) => this.hastenAll(server),
      interfacesChanged: () => this.wantFollow(),
    });
    this.servers.set(challenge.serverid, server);
    this.revision++;
    return server;
  }
}

/**
 * True if both configurations have the same name and id of the namespace, and the same node name. A namespace with the same login can keep
 * its sessions.
 */
export function isSameLogin(before: ClientNamespaceConfig, after: ClientNamespaceConfig): boolean {
  return before.name === after.name && before.namespaceid === after.namespaceid && before.nodename === after.nodename;
}

function isAlive(state: PathState): boolean {
  return state === 'up' || state === 'suspect';
}
