// The connection to one peer: a trunk with a path to each of its addresses, calls, and pulls. Invariant: the connection uses only the server
// that proves the name in [peer NAME]; this server itself, and a server that serves another program under this name, are refused.

import { randomBytes, randomUUID } from 'node:crypto';
import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS, SUSPECT_AFTER_MS } from '@rsio/common/config/schema/limits';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { isIPv6 } from 'node:net';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { ClientIdentity } from '@rsio/protocol/auth/handshake-client';
import { AdminCalls } from '@rsio/protocol/client/admin-calls';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { RENEWAL_LOOK_MS } from '@rsio/protocol/client/limits';
import { Opener } from '@rsio/protocol/client/opener';
import { endReplacement, type RenewedRoute, renewPaths } from '@rsio/protocol/client/path-renewals';
import { PathSupervisor } from '@rsio/protocol/client/path-supervisor';
import { Trunk } from '@rsio/protocol/client/trunk';
import type { Connector } from '@rsio/protocol/link/path-transport';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import type { Challenge } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { PEER_CLOSE_MS, PEER_REPORT_MS } from '../../limits.ts';
import { type Begin, cutText, type FromPeer } from '../messages.ts';
import { RemoteSnapshot, type SnapshotFacts, type SnapshotPlace } from './remote-snapshot.ts';

const TIMES = { heartbeatMs: HEARTBEAT_INTERVAL_MS, suspectMs: SUSPECT_AFTER_MS, deadMs: DEAD_AFTER_MS };

export interface PeerConnectionPorts {
  readonly clock: Clock;
  readonly connector: Connector;
  /** Reports the state of the connection, at the beginning and after each change. */
  changed(state: Omit<Extract<FromPeer, { type: 'state' }>, 'type'>): void;
}

/** A path: an address of the peer, with a supervisor that keeps a connection. */
interface Route extends RenewedRoute {
  readonly index: number;
}

export class PeerConnection {
  private readonly begin: Begin;
  private readonly ports: PeerConnectionPorts;
  private readonly trunk: Trunk;
  private readonly opener: Opener;
  private readonly admin: AdminCalls;
  private readonly routes: readonly Route[];
  private readonly pools = { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() };
  private readonly snapshots = new Map<Attachment, RemoteSnapshot>();
  /** Reason why this process must not connect to the peer again; null if it may. */
  private replacedBy: string | null = null;
  private reportTimer: Timer | null = null;
  /** Called when no snapshot is open any more, while the connection ends. */
  private whenClosed: (() => void) | null = null;

  constructor(begin: Begin, ports: PeerConnectionPorts) {
    this.begin = begin;
    this.ports = ports;
    const { clock } = ports;
    this.trunk = new Trunk(clock, TIMES, {
      sessionBegan: () => {
        this.opener.openAll();
        this.admin.sessionBegan();
        this.hasten();
      },
      allQuiet: () => this.hasten(),
      listChanged: () => undefined,
      interfacesReported: () => undefined,
      replaced: (sentence) => this.replace(sentence),
      ended: (status, reason) => this.opener.end(status, reason),
    });
    this.admin = new AdminCalls(this.trunk, clock, randomUUID);
    this.opener = new Opener(this.trunk, clock, {
      opened: (attachment) => this.snapshots.get(attachment)?.opened(),
      grown: () => undefined,
      failed: (attachment, status, sentence) => this.snapshots.get(attachment)?.failed(status, sentence),
      waits: () => undefined,
    });
    this.routes = begin.connection.addresses.map((_, index) => {
      const route: Route = { index, server: this.trunk, replacement: null, supervisor: this.supervisorOf(index, () => route, null) };
      return route;
    });
  }

  start(): void {
    for (const { supervisor } of this.routes) supervisor.start();
    this.report();
    if (this.begin.connection.tls) this.renewLater();
  }

  /** Waits until the peer has confirmed that all snapshots are closed, at most PEER_CLOSE_MS, and says BYE. The process ends afterwards. */
  end(reason: string, ended: () => void): void {
    const { clock } = this.ports;
    let timer: Timer | null = null;
    const leave = (): void => {
      timer?.cancel();
      this.whenClosed = null;
      this.trunk.end(STATUS.SHUTTING_DOWN, reason);
      this.retireAll(reason);
      ended();
    };
    // The messages about the last snapshots leave first.
    this.whenClosed = () => clock.soon(leave);
    if (this.snapshots.size === 0 || this.trunk.paths.length === 0) leave();
    else timer = clock.after(PEER_CLOSE_MS, leave);
  }

  /** Rejects with E_UNREACHABLE at once if the peer is not connected; otherwise like AdminCalls. */
  call(method: string, params: object, withinMs: number): Promise<unknown> {
    const { name } = this.begin.connection;
    if (this.trunk.paths.length > 0) return this.admin.callAdmin(method, params, withinMs);
    return Promise.reject(
      new RsError('E_UNREACHABLE', `Peer ${name} is not connected: ${this.trouble ?? 'try again later'}`, { isOutcomeUnknown: false }),
    );
  }

  /**
   * Returns a snapshot at the peer, which is not open yet. Throws E_BUSY if it is open already. `closed`: as in RemoteSnapshot; it is not
   * called if this method throws.
   */
  snapshot(place: SnapshotPlace, facts: SnapshotFacts | null, closed: (isReleased: boolean) => void): RemoteSnapshot {
    const { name } = this.begin.connection;
    for (const other of this.snapshots.keys())
      if (other.name === place.name && other.universe === place.universe && other.phase !== 'closed')
        throw new RsError('E_BUSY', `Snapshot ${place.name} of peer ${name} is in use by another copy: try again later`);
    const parts = { peer: name, clock: this.ports.clock, trunk: this.trunk, opener: this.opener };
    const snapshot = new RemoteSnapshot(place, facts, parts, (isReleased) => {
      this.snapshots.delete(snapshot.attachment);
      closed(isReleased);
      if (this.snapshots.size === 0) this.whenClosed?.();
    });
    this.snapshots.set(snapshot.attachment, snapshot);
    return snapshot;
  }

  private hasten(): void {
    for (const { supervisor } of this.routes) supervisor.retrySoon();
  }

  private supervisorOf(index: number, route: () => Route, replaced: PathSupervisor | null): PathSupervisor {
    const { clock, connector } = this.ports;
    const { address, port } = this.begin.connection.addresses[index]!;
    // The kernel chooses the address of this server by its routes.
    const endpoints = { localAddress: isIPv6(address) ? '::' : '0.0.0.0', address, port };
    const ports = {
      clock,
      connector,
      random: randomBytes,
      pools: this.pools,
      trunkFor: (_: PathSupervisor, challenge: Challenge) => this.trunkFor(challenge, address),
      stateChanged: (supervisor: PathSupervisor) => this.pathChanged(supervisor, route()),
    };
    return new PathSupervisor(endpoints, this.identityFor(index), ports, replaced);
  }

  private identityFor(index: number): ClientIdentity {
    const { connection, identity } = this.begin;
    const { nodekey, serverkey, namespaceid, nodename, tls, digest } = connection;
    const features = [FEATURE.REVOKE, FEATURE.ADMIN, ...(digest ? [FEATURE.DIGEST] : []), ...(tls ? [FEATURE.TLS] : [])];
    const hello = { versions: PROTOCOL_VERSIONS, features, namespaceid, node: nodename, ...identity, interface: `path${index + 1}` };
    return { nodekey, serverkey, hello };
  }

  /** Throws if the server that sent this CHALLENGE is not the peer, or if another process seems to have the peer's name. */
  private trunkFor({ server, instance }: Challenge, address: string): Trunk {
    const { connection } = this.begin;
    if (this.replacedBy !== null) throw new RsError('E_REPLACED', this.replacedBy);
    if (instance === this.begin.instance)
      throw new RsError(
        'E_PROTOCOL',
        `This server itself answers at ${address}: give addresses of the other server in [peer ${connection.name}]`,
      );
    if (server !== connection.name)
      throw new RsError(
        'E_PROTOCOL',
        `Server ${server} answers at ${address}, and not ${connection.name}: correct the address in [peer ${connection.name}], or its name`,
      );
    const { session, isHeard } = this.trunk;
    if (session !== null && session.serverInstance !== instance && isHeard)
      throw new RsError(
        'E_PROTOCOL',
        `Server ${server} answers at ${address} as another process than on its other paths: if this persists, two servers have this name`,
      );
    return this.trunk;
  }

  private pathChanged(supervisor: PathSupervisor, route: Route): void {
    const { lastError, state } = supervisor;
    if (state === 'down' && lastError?.code === 'E_REPLACED' && lastError.context['proved'] === true) this.replace(lastError.message);
    // If the last path is lost, the others try without back-off.
    if (supervisor === route.supervisor && state === 'down' && this.trunk.paths.length === 0 && supervisor.retries === 0)
      for (const other of this.routes) if (other !== route) other.supervisor.retrySoon();
    this.ports.clock.soon(() => this.renew());
    this.reportLater();
  }

  private replace(sentence: string): void {
    if (this.replacedBy !== null) return;
    const { name, nodename } = this.begin.connection;
    this.replacedBy = `Peer ${name} serves another program as client ${nodename} instead of this server (${sentence}): give this server a nodename of its own in [peer ${name}], with a client of this name there`;
    this.opener.failAll(STATUS.TAKEN, this.replacedBy);
    this.ports.clock.soon(() => this.retireAll('another program has this name'));
  }

  private retireAll(reason: string): void {
    for (const route of this.routes) {
      endReplacement(route);
      route.supervisor.retire(reason);
    }
    this.reportLater();
  }

  private renewLater(): void {
    this.ports.clock.after(RENEWAL_LOOK_MS, () => {
      this.renew();
      this.renewLater();
    });
  }

  private renew(): void {
    if (this.replacedBy !== null || this.trunk.isEnded) return;
    renewPaths(this.routes, this.begin.connection.tls, {
      replacementFor: (route) => this.supervisorOf(route.index, () => route, route.supervisor),
      replaced: () => undefined,
    });
  }

  private get trouble(): string | null {
    const down = this.routes.find(({ supervisor }) => supervisor.path === null);
    return this.replacedBy ?? down?.supervisor.lastError?.message ?? null;
  }

  private reportLater(): void {
    this.reportTimer ??= this.ports.clock.after(PEER_REPORT_MS, () => this.report());
  }

  private report(): void {
    this.reportTimer = null;
    const pathsUp = this.routes.filter(({ supervisor: { path } }) => path !== null).length;
    const { trouble } = this;
    this.ports.changed({ pathsUp, isConnected: pathsUp > 0, trouble: trouble === null ? null : cutText(trouble) });
  }
}
