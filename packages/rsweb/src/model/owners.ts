// Decides which reports of a source count. A machine is authoritative for its own server and its own client; its reports about others are
// hearsay. Pure. Invariants: reports of this machine's own daemons are never changed. A source cannot make its object, link or command
// appear under the name of an object of another source. If two sources claim the same server, the server is shown once for each source,
// with the name of the source.

import { isStoredName } from '@rsio/base/lib/units';
import { CLAIMS_MAX, HEARSAY_SERVERS_MAX, SOURCE_APPLICATIONS_MAX, SOURCE_POOLS_MAX, SOURCE_WORKS_MAX } from '../limits.ts';
import { applicationId, hrefOf, pathId, poolId, volumeId, workId } from './ids.ts';
import type { Client, Finding, Gate, Path, Picture, Pool, Server, Volume, Work } from './picture.ts';
import { finding } from './remedies.ts';

/** The picture that one source has reported. */
export interface Told {
  /** The unique name of the source, such as `source mars`. */
  readonly source: string;
  /** True if the source is a daemon of this machine. */
  readonly isOwn: boolean;
  readonly picture: Picture;
}

/** Returns the reduced picture of each source, and findings about objects that several sources claim. */
export function heard(told: readonly Told[]): { readonly parts: readonly Picture[]; readonly findings: readonly Finding[] } {
  const servers = claimsOf(told, ({ servers: all }) => all);
  const clients = claimsOf(told, ({ clients: all }) => all);
  const places = new Map<string, string>();
  for (const { isOwn, picture } of told) if (isOwn) for (const { id, server } of picture.volumes) places.set(id, server);
  const readers = told.map((one) => (one.isOwn ? null : new Hearing(one, servers, clients, places)));
  return {
    parts: told.map(({ picture }, at) => readers[at]?.heard(picture) ?? picture),
    findings: [...disputesOf('server', servers), ...disputesOf('client', clients)],
  };
}

/** The sources that claim a server or client as their own, by its name. */
type Claims = ReadonlyMap<string, ReadonlySet<string>>;

/** All daemons of this machine count as one source, which has this name. */
const OWN = '';

function claimsOf(told: readonly Told[], listOf: (picture: Picture) => readonly (Server | Client)[]): Claims {
  const claims = new Map<string, Set<string>>();
  for (const { source, isOwn, picture } of told) {
    for (const id of isOwn ? claimed(listOf(picture)) : claimed(listOf(picture)).slice(0, CLAIMS_MAX)) {
      claims.set(id, (claims.get(id) ?? new Set()).add(isOwn ? OWN : source));
    }
  }
  return claims;
}

function claimed(all: readonly (Server | Client)[]): string[] {
  return all.filter(isNamed).flatMap(({ id, machine }) => (machine === null ? [] : id));
}

function disputesOf(kind: 'server' | 'client', claims: Claims): Finding[] {
  return [...claims].flatMap(([id, by]) => {
    if (by.size < 2) return [];
    const others = [...by].filter((source) => source !== OWN).join(' and ');
    const what = by.has(OWN)
      ? `The ${kind} ${id} is of this machine, and what ${others} tells of it as its own is not believed`
      : `The ${kind} ${id} is disputed, because ${others} tell of it as their own, and none of them is believed`;
    const remedy = 'give each machine a nodename of its own, or remove a source that leads to a machine twice';
    return [finding(by.has(OWN) ? 'warning' : 'error', 'disputed', `${what}: ${remedy}`, { where: `${kind} ${id}`, href: null })];
  });
}

/** Reduces the picture of another machine to the parts that count. */
class Hearing {
  private readonly source: string;
  private readonly servers: Claims;
  /**
   * Names of the servers (`ownServers`) and clients (`ownClients`) that the source claims as its own. `ownClients` does not contain a
   * client that several sources claim.
   */
  private readonly ownServers: ReadonlySet<string>;
  private readonly ownClients: ReadonlySet<string>;
  /**
   * The volumes of the source's own servers. Key: id of a volume in the source's picture. Value: id of the volume in the merged picture.
   */
  private readonly ids = new Map<string, string>();
  /** Key: id of a volume. Value: the server of the volume. The map contains only volumes that the machine of the server has reported. */
  private readonly places: ReadonlyMap<string, string>;

  constructor({ source, picture }: Told, servers: Claims, clients: Claims, places: Map<string, string>) {
    this.source = source;
    this.servers = servers;
    this.ownServers = new Set([...servers].flatMap(([id, by]) => (by.has(source) ? id : [])));
    this.ownClients = new Set([...clients].flatMap(([id, by]) => (by.has(source) && by.size === 1 ? id : [])));
    this.places = places;
    for (const volume of picture.volumes) {
      if (!this.ownServers.has(volume.server)) continue;
      const server = this.serverName(volume.server);
      const isOfAnother = (places.get(volume.id) ?? server) !== server;
      const id = isOfAnother || volume.id.includes(':') ? volumeId(null, server, volume.name, volume.universe) : volume.id;
      this.ids.set(volume.id, id);
      places.set(id, server);
    }
  }

  heard(picture: Picture): Picture {
    const { source } = this;
    const mirrors = picture.mirrors.filter(({ holder }) => holder !== null && this.ownClients.has(holder));
    const ownApplications = picture.applications.filter(
      ({ id, name, reporter }) => this.ownClients.has(reporter) && isStoredName(name) && id === applicationId(reporter, name),
    );
    const applications = ownApplications.slice(0, SOURCE_APPLICATIONS_MAX);
    const ownPools = picture.pools.filter(({ id, server, name }) => this.ownServers.has(server) && id === poolId(server, name));
    const pools = ownPools.slice(0, SOURCE_POOLS_MAX);
    const named = picture.servers.filter(isNamed);
    const claimedServers = named.filter(({ id }) => this.ownServers.has(id));
    const otherServers = named.filter(({ id }) => !this.ownServers.has(id)).slice(0, HEARSAY_SERVERS_MAX);
    const links = new Set<string | null>([
      ...[...this.ownServers].filter((id) => this.serverName(id) === id).map((id) => hrefOf('server', id)),
      ...[...this.ownClients].map((id) => hrefOf('client', id)),
      ...pools.filter(({ server }) => this.serverName(server) === server).map(({ id }) => hrefOf('pool', id)),
      ...[...this.ids].filter(([told, id]) => told === id).map(([id]) => hrefOf('volume', id)),
      ...mirrors.map(({ id }) => hrefOf('mirror', id)),
    ]);
    return {
      ...picture,
      servers: [...claimedServers.slice(0, CLAIMS_MAX), ...otherServers].map((server) => this.server(server)),
      clients: picture.clients.filter(isNamed).map((client) => this.client(client)),
      paths: picture.paths.flatMap((path) => this.path(path)),
      volumes: picture.volumes.flatMap((volume) => this.volume(volume)),
      pools: pools.map((pool) => this.pool(pool)),
      mirrors,
      applications,
      works: this.works(picture.works),
      replications: picture.replications.slice(0, SOURCE_WORKS_MAX).flatMap((one) => this.ofServer(one)),
      gates: this.gates(picture.gates),
      findings: picture.findings.map((one) => {
        const isOwn = links.has(one.href);
        const place = isOwn ? { href: one.href, commands: one.commands } : { href: null, commands: [] };
        return { ...one, ...place, id: `${source}: ${one.id}`, where: `${source}: ${one.where}` };
      }),
      events: picture.events.map((one) => ({ ...one, id: `${source}: ${one.id}`, href: links.has(one.href) ? one.href : null })),
    };
  }

  private serverName(id: string): string {
    return this.servers.get(id)?.size === 1 ? id : `${id} (told by ${this.source})`;
  }

  private server(server: Server): Server {
    if (server.machine === null || !this.ownServers.has(server.id)) return { ...server, machine: null };
    const id = this.serverName(server.id);
    return { ...server, id, name: id };
  }

  private client(client: Client): Client {
    const machine = this.ownClients.has(client.id) ? client.machine : null;
    const volumes = machine === null ? client.volumes.flatMap((id) => this.ids.get(id) ?? []) : client.volumes;
    return { ...client, machine, volumes };
  }

  private path(path: Path): Path[] {
    const isOfClient = this.ownClients.has(path.client);
    if (!isOfClient && !this.ownServers.has(path.server)) return [];
    const server = this.ownServers.has(path.server) ? this.serverName(path.server) : path.server;
    const id = pathId(path.client, path.localAddress ?? '', server, path.address);
    return [{ ...path, id, server, interface: isOfClient ? path.interface : null }];
  }

  private pool(pool: Pool): Pool {
    const server = this.serverName(pool.server);
    return { ...pool, server, id: poolId(server, pool.name) };
  }

  private works(works: readonly Work[]): Work[] {
    return works.slice(0, SOURCE_WORKS_MAX).flatMap((work): Work[] => {
      const { server, client } = work;
      if (server !== null) return this.ofServer({ ...work, server }).map((one) => ({ ...one, client: null }));
      const isOwn = client !== null && this.ownClients.has(client) && work.id.startsWith(workId('client', client, ''));
      return isOwn ? [{ ...work, job: null }] : [];
    });
  }

  /** Returns what a server of this source reports under the name that the server has here. */
  private ofServer<T extends { readonly id: string; readonly server: string }>(one: T): T[] {
    const prefix = workId('server', one.server, '');
    if (!this.ownServers.has(one.server) || !one.id.startsWith(prefix)) return [];
    const server = this.serverName(one.server);
    return [{ ...one, server, id: workId('server', server, one.id.slice(prefix.length)) }];
  }

  private gates(gates: readonly Gate[]): Gate[] {
    const isOwn = ({ id, client, name }: Gate): boolean => this.ownClients.has(client) && id === workId('client', client, `gate ${name}`);
    return gates.slice(0, SOURCE_WORKS_MAX).filter(isOwn);
  }

  private volume(volume: Volume): Volume[] {
    if (this.ownServers.has(volume.server)) {
      const server = this.serverName(volume.server);
      const isOwnPool = volume.pool?.startsWith(poolId(volume.server, '')) === true;
      const pool = isOwnPool ? poolId(server, volume.pool?.slice(poolId(volume.server, '').length) ?? '') : null;
      return [{ ...volume, id: this.ids.get(volume.id) ?? volume.id, server, pool }];
    }
    // This source reports the volume as a client. If the machine of the volume's server also reports the volume, only the waits of this
    // source's client are taken from this report.
    const place = this.places.get(volume.id);
    const isKnown = this.servers.has(volume.server);
    if (place === undefined ? isKnown : place !== volume.server) return [];
    return [{ ...volume, mirror: isKnown ? null : volume.mirror, waits: volume.waits.filter(({ client }) => this.ownClients.has(client)) }];
  }
}

/** True if the id equals the name, as for every server and client in a correct picture. */
function isNamed({ id, name }: Server | Client): boolean {
  return id === name && isStoredName(name);
}
