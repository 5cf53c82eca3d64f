// Plans which paths a namespace should have, from the configuration and the interfaces that the servers report. Pure; namespace.ts starts
// and closes the paths. Invariants: There is at most one route for each pair of end points. The plan keeps every `[server]` section whose
// address no server has ever reported, because the administrator configured it. A server's list of interfaces never closes the last working
// path to that server.

import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import type { ClientNamespaceConfig, ClientServerConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { considerCandidates, isOnLink } from '@rsio/protocol/explorer/candidates';
import { addressKey, endPointKey, isSingleHost } from '@rsio/base/lib/subnet';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import type { ServerInterface } from '@rsio/protocol/wire/messages';

/** A client interface and its subnet, if known. */
export interface LocalInterface {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  readonly portGiven: number | null;
}

export interface RemoteEnd {
  /** Name of the `[server]` section; `SERVER-INTERFACE` if no section names this end. */
  readonly name: string;
  readonly address: string;
  readonly serverkey: string | null;
  /** Position of the `[server]` section in the file; null if no section names this end. */
  readonly position: number | null;
  /** Serverid of the server that must answer at this end; null if any server may answer, because a `[server]` section names this end. */
  readonly serverid: number | null;
}

export interface RouteEnds {
  readonly local: LocalInterface;
  readonly remote: RemoteEnd;
  readonly port: number;
}

export interface LeftOut {
  readonly name: string;
  readonly address: string;
  readonly port: number | null;
  /** Position of the `[server]` section that names the end point; null if no section does. */
  readonly position: number | null;
  /** A sentence for the administrator: why the end point has no route, and after a colon what to do. */
  readonly reason: string;
}

export interface ServerPicture {
  readonly serverid: number;
  readonly name: string;
  /** Interfaces in the server's newest report. */
  readonly interfaces: readonly ServerInterface[];
  /** Keys of the end points that the server has ever reported. */
  readonly named: ReadonlySet<string>;
  /** Keys of the end points at which the server has proved its identity. */
  readonly metAt: ReadonlySet<string>;
  /** Routes with a working path to this server. */
  readonly living: readonly RouteEnds[];
}

export interface RouteSituation {
  readonly whole: Pick<RscltConfig, 'defaultPort'>;
  readonly config: Pick<ClientNamespaceConfig, 'port' | 'paths' | 'servers'>;
  readonly locals: readonly LocalInterface[];
  readonly servers: readonly ServerPicture[];
  /** Servers that this process has not reached yet, as an earlier process has seen them. */
  readonly hints: readonly ServerPicture[];
}

export interface RoutePlan {
  readonly wanted: readonly RouteEnds[];
  readonly leftOut: readonly LeftOut[];
}

export function routeKey({ local, remote, port }: RouteEnds): string {
  return `${addressKey(local.address)} ${endPointKey(remote.address, port)}`;
}

/**
 * Plans the routes. The plan is stable: after it has been applied, planning again gives the same plan. If a plan would close all paths to a
 * server, `planRoutes` makes a new plan as if that server were not connected.
 */
export function planRoutes(situation: RouteSituation): RoutePlan {
  const { wanted, leftOut } = planOnce(situation);
  const keys = new Set(wanted.map(routeKey));
  const isEnded = (route: RouteEnds): boolean => !keys.has(routeKey(route));
  const { servers } = situation;
  if (!servers.some(({ living }) => living.length > 0 && living.every(isEnded))) return { wanted, leftOut };
  return planRoutes({ ...situation, servers: servers.map((one) => (one.living.every(isEnded) ? { ...one, living: [] } : one)) });
}

function planOnce(situation: RouteSituation): RoutePlan {
  const plan = new Plan(situation);
  plan.addSections();
  if (situation.config.paths !== 'configured') {
    const servers = situation.servers.toSorted((left, right) => left.serverid - right.serverid);
    for (const server of servers) plan.addLearned(server);
    // Last, so that a remembered address never takes the place of one that a section or a connected server names.
    for (const server of situation.hints) plan.addLearned(server);
    plan.dropUnlisted();
    for (const server of servers) plan.keepLastLearned(server);
  }
  return { wanted: [...plan.wanted.values()], leftOut: plan.leftOut };
}

/**
 * Maps the key of each end point to the `[server]` section that names it. A section may name several end points, because its port can
 * depend on the client's interface.
 */
export function sectionsByEndPoint({ whole, config, locals }: Omit<RouteSituation, 'servers' | 'hints'>): Map<string, ClientServerConfig> {
  const sections = new Map<string, ClientServerConfig>();
  for (const section of config.servers) {
    for (const local of locals) sections.set(endPointKey(section.address, targetPort(whole, config, section, local)), section);
  }
  return sections;
}

/**
 * Returns the first `[server]` section that leads to the given server, or null. A section leads to a server that has proved its identity at
 * the section's end point or has reported that end point. If no section leads to a server, the plan ignores the interfaces that the server
 * reports.
 */
export function sectionOf(sections: ReadonlyMap<string, ClientServerConfig>, { metAt, named }: ServerPicture): ClientServerConfig | null {
  const found = [...metAt, ...named].flatMap((key) => sections.get(key) ?? []);
  return found.toSorted((left, right) => left.position - right.position)[0] ?? null;
}

class Plan {
  readonly wanted = new Map<string, RouteEnds>();
  readonly leftOut: LeftOut[] = [];
  private readonly situation: RouteSituation;
  private readonly sections: ReadonlyMap<string, ClientServerConfig>;
  /** Maps the key of each end point to the number of its wanted routes. */
  private readonly atEndPoint = new Map<string, number>();
  /** Keys of all end points in the servers' current reports. */
  private readonly listed: ReadonlySet<string>;
  /**
   * Maps the key of each end point to the connected server that reports the end point and has proved its identity there. Other servers'
   * reports of the end point are ignored. A server to which no section leads has no entry, because the plan ignores what that server
   * reports.
   */
  private readonly proved: ReadonlyMap<string, number>;

  constructor(situation: RouteSituation) {
    const { servers } = situation;
    this.situation = situation;
    this.sections = sectionsByEndPoint(situation);
    const counted = servers.filter((one) => one.living.length > 0 && sectionOf(this.sections, one) !== null);
    this.proved = new Map(counted.flatMap(provedEndPoints));
    this.listed = new Set(servers.flatMap(({ interfaces }) => interfaces.map(({ address, port }) => endPointKey(address, port))));
  }

  addSections(): void {
    const { whole, config, locals } = this.situation;
    const { candidates, leftOut } = considerCandidates(locals, config.servers, config.paths === 'all' ? 'all' : 'auto');
    for (const { local, remote } of candidates) {
      const { name, address, serverkey, position } = remote;
      this.want({ local, remote: { name, address, serverkey, position, serverid: null }, port: targetPort(whole, config, remote, local) });
    }
    for (const { remote, reason } of leftOut) {
      if (remote === null) continue;
      const { name, address, port, position } = remote;
      this.leftOut.push({ name, address, port, position, reason: `${reason}: set paths = all to try it anyway` });
    }
  }

  addLearned(server: ServerPicture): void {
    const section = sectionOf(this.sections, server);
    if (section === null) return;
    const keys = [...new Set([...server.metAt, ...server.named])];
    const room = { left: PATHS_PER_TRUNK_MAX - keys.reduce((sum, key) => sum + (this.atEndPoint.get(key) ?? 0), 0) };
    for (const one of server.interfaces) this.addInterface(server, section, one, room);
  }

  /** Drops end points that a server no longer reports, if another path to the server remains. */
  dropUnlisted(): void {
    const { servers } = this.situation;
    const owners = new Map(servers.flatMap((server) => server.living.map((route) => [routeKey(route), server] as const)));
    const naming = new Map<string, ServerPicture[]>();
    for (const server of servers) for (const key of server.named) naming.set(key, [...(naming.get(key) ?? []), server]);
    for (const [key, route] of [...this.wanted]) {
      const { remote, port } = route;
      const owner = owners.get(key);
      const suspects = owner === undefined ? (naming.get(endPointKey(remote.address, port)) ?? []) : [owner];
      const server = suspects.find((one) => this.isUnlisted(route, one) && this.hasLastingPath(one));
      if (server === undefined) continue;
      this.wanted.delete(key);
      const { name, address, position } = remote;
      if (this.leftOut.some((one) => one.name === name)) continue;
      this.leftOut.push({ name, address, port, position, reason: `server ${server.name} does not list it any more` });
    }
  }

  /**
   * If the plan would close all working paths to a server, keeps the paths to interfaces that the server has reported. These paths stay in
   * the plan until another path to the server is up.
   */
  keepLastLearned(server: ServerPicture): void {
    const { living, serverid } = server;
    if (living.some((route) => this.wanted.has(routeKey(route))) || sectionOf(this.sections, server) === null) return;
    for (const { local: from, remote, port } of living) {
      const local = this.situation.locals.find(({ address }) => addressKey(address) === addressKey(from.address));
      if (local !== undefined && remote.serverid === serverid) this.want({ local, remote, port });
    }
  }

  private addInterface(server: ServerPicture, section: ClientServerConfig, one: ServerInterface, room: { left: number }): void {
    const { address, port } = one;
    const key = endPointKey(address, port);
    const isNamed = this.sections.has(key);
    const { serverkey } = section;
    const remote: RemoteEnd = { name: `${server.name}-${one.name}`, address, serverkey, position: null, serverid: server.serverid };
    const owner = this.proved.get(key) ?? server.serverid;
    if (owner !== server.serverid) {
      const reason = `serverid ${owner} has proved itself there, and names it, too: correct [interface] in the rssrvcfg of one of them`;
      this.leftOut.push({ name: remote.name, address, port, position: null, reason });
      return;
    }
    const locals = isSingleHost(address) ? this.situation.locals.filter((local) => this.mayReach(local, address)) : [];
    let reason = locals.length === 0 && !isNamed ? 'no interface of this client is in its subnet' : null;
    for (const local of locals) {
      if (!this.take({ local, remote, port }, room)) reason = `server ${server.name} has ${PATHS_PER_TRUNK_MAX} paths without it`;
    }
    if (reason !== null) this.leftOut.push({ name: remote.name, address, port, position: null, reason });
  }

  /** Adds a route to the plan, or returns false if the server already has PATHS_PER_TRUNK_MAX routes. */
  private take(route: RouteEnds, room: { left: number }): boolean {
    if (this.wanted.has(routeKey(route))) return true;
    if (room.left <= 0) return false;
    room.left--;
    this.want(route);
    return true;
  }

  private want(route: RouteEnds): void {
    const key = routeKey(route);
    if (this.wanted.has(key)) return;
    this.wanted.set(key, route);
    const endPoint = endPointKey(route.remote.address, route.port);
    this.atEndPoint.set(endPoint, (this.atEndPoint.get(endPoint) ?? 0) + 1);
  }

  /** True if the given server has reported the end point before, but no server reports it now. */
  private isUnlisted({ remote, port }: RouteEnds, { serverid, named }: ServerPicture): boolean {
    const key = endPointKey(remote.address, port);
    return !this.listed.has(key) && (remote.serverid === serverid || named.has(key));
  }

  /** True if a working path to the server remains after the plan has dropped the end points that are no longer reported. */
  private hasLastingPath(server: ServerPicture): boolean {
    return server.living.some((route) => this.wanted.has(routeKey(route)) && !this.isUnlisted(route, server));
  }

  private mayReach(local: LocalInterface, address: string): boolean {
    if (local.address.includes(':') !== address.includes(':')) return false;
    if (this.situation.config.paths === 'all') return true;
    return isOnLink({ local, remote: { address } });
  }
}

function provedEndPoints({ serverid, interfaces, metAt }: ServerPicture): [string, number][] {
  const keys = interfaces.map(({ address, port }) => endPointKey(address, port));
  return keys.filter((key) => metAt.has(key)).map((key) => [key, serverid]);
}
