// One namespace of the configuration: the candidate paths to its servers, each kept up by a supervisor, and the servers met over them.
// Invariant: a server is known by its serverid; all paths that meet it belong to its one trunk.

import type { ClientNamespaceConfig, ClientServerConfig, RscltConfig } from '@rsio/protocol/config/types';
import { targetPort } from '@rsio/protocol/config/rscltcfg';
import { pairCandidates } from '@rsio/protocol/explorer/candidates';
import type { ClientIdentity } from '@rsio/protocol/auth/handshake-client';
import type { RandomBytes } from '@rsio/protocol/auth/handshake-frames';
import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { SERVERS_PER_CLIENT_MAX } from '@rsio/protocol/limits';
import type { ConnectionPools } from '@rsio/protocol/trunk/connection';
import type { Connector } from '@rsio/protocol/trunk/path-transport';
import { type PathState, PathSupervisor } from '@rsio/protocol/trunk/path-supervisor';
import type { Trunk } from '@rsio/protocol/trunk/trunk';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import type { Challenge } from '@rsio/protocol/wire/messages';
import type { Identity } from './identity.ts';
import { Server, type ServerEvents } from './server.ts';
import type { InterfaceEvent } from './sys/interface-table.ts';

/** A client interface, with what is known of its subnet. */
export interface LocalInterface {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  readonly portGiven: number | null;
}

/** A candidate path and who keeps it up. */
export interface Route {
  readonly local: LocalInterface;
  readonly remote: ClientServerConfig;
  readonly port: number;
  readonly supervisor: PathSupervisor;
  /** The server met over it; null before the first CHALLENGE. */
  server: Server | null;
}

export interface NamespacePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly connector: Connector;
  readonly random: RandomBytes;
  readonly pools: ConnectionPools;
  readonly events: ServerEvents;
  pathChanged(route: Route, from: PathState, to: PathState, reason: string): void;
}

export class Namespace {
  readonly config: ClientNamespaceConfig;
  readonly routes: readonly Route[];
  readonly servers = new Map<number, Server>();
  private readonly ports: NamespacePorts;

  constructor(
    whole: RscltConfig,
    config: ClientNamespaceConfig,
    locals: readonly LocalInterface[],
    identity: Identity,
    ports: NamespacePorts,
  ) {
    this.config = config;
    this.ports = ports;
    this.routes = pairCandidates(locals, config.servers, config.paths === 'all' ? 'all' : 'auto').map(({ local, remote }) => {
      const port = targetPort(whole, config, remote, local);
      const route: Route = { local, remote, port, server: null, supervisor: this.supervisorOf(local, remote, port, identity, () => route) };
      return route;
    });
  }

  start(): void {
    for (const route of this.routes) route.supervisor.start();
  }

  /** Ends all paths; what is still under way is answered with `status`. */
  stop(status: number, reason: string): void {
    for (const server of this.servers.values()) server.trunk.end(status, reason);
    for (const route of this.routes) route.supervisor.retire(reason);
  }

  /** Something has happened to the interface of an address: its paths need not be silent first, nor wait for their turn. */
  interfaceChanged({ address, change, sentence }: InterfaceEvent): void {
    for (const { local, supervisor } of this.routes) {
      if (local.address !== address) continue;
      if (change === 'carrier-lost') supervisor.distrust(sentence);
      else if (change === 'address-gone') supervisor.cut(sentence);
      else supervisor.wayOpened();
    }
  }

  /** Sections that no candidate path leads to: nobody could say why they stay silent. */
  get unreached(): ClientServerConfig[] {
    return this.config.servers.filter((server) => !this.routes.some((route) => route.remote === server));
  }

  private supervisorOf(
    local: LocalInterface,
    remote: ClientServerConfig,
    port: number,
    identity: Identity,
    route: () => Route,
  ): PathSupervisor {
    const { clock, connector, random, pools, log } = this.ports;
    const { namespaceid, nodename, nodekey, digest } = this.config;
    const client: ClientIdentity = {
      nodekey,
      serverkey: remote.serverkey,
      hello: {
        versions: PROTOCOL_VERSIONS,
        features: digest ? [FEATURE.DIGEST] : [],
        namespaceid,
        node: nodename,
        ...identity,
        interface: local.name,
      },
    };
    return new PathSupervisor({ localAddress: local.address, address: remote.address, port }, client, {
      clock,
      connector,
      random,
      pools,
      trunkFor: (_supervisor, challenge) => this.trunkFor(route(), challenge),
      stateChanged: (supervisor, from, to, reason) => {
        const pathLog = log.child({ path: `${supervisor.lastNumber}-${local.name}-tx0` });
        if (to === 'down' && reason !== '') pathLog.warn(`rep ${remote.address}/${port} is down: ${reason}`);
        else if (to === 'suspect' || to === 'probation' || to === 'retired')
          pathLog.info(`rep ${remote.address}/${port} is ${to}: ${reason}`);
        if (from === 'up' || from === 'suspect') this.pathLost(route());
        this.ports.pathChanged(route(), from, to, reason);
      },
    });
  }

  /** When a server's last path is gone, none of the others waits for its turn or sits out its probation. */
  private pathLost(lost: Route): void {
    if (lost.server === null || lost.server.isConnected) return;
    for (const route of this.routes) if (route !== lost && route.server === lost.server) route.supervisor.hasten();
  }

  private trunkFor(route: Route, challenge: Challenge): Trunk {
    let server = this.servers.get(challenge.serverid);
    if (server === undefined) {
      if (this.servers.size >= SERVERS_PER_CLIENT_MAX)
        throw new RsError('E_LIMIT', `More than ${SERVERS_PER_CLIENT_MAX} servers in namespace ${this.config.name}`);
      const { heartbeatMs, suspectMs, deadMs } = this.config;
      server = new Server(challenge, { heartbeatMs, suspectMs, deadMs }, this.ports.clock, {
        ...this.ports.events,
        sessionBegan: (began, again) => {
          for (const other of this.routes) if (other.server === began) other.supervisor.hasten();
          this.ports.events.sessionBegan(began, again);
        },
      });
      this.servers.set(challenge.serverid, server);
    }
    server.meet(challenge);
    route.server = server;
    return server.trunk;
  }
}
