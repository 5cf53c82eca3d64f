// One gate: its listening sockets, and the connections of hosts. Its protocol has the target with the volumes. Invariant: all sockets of a
// gate that has been closed are closed.

import { createServer, type Server, type Socket } from 'node:net';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { EndpointConfig } from '@rsio/common/config/schema/value-types';
import type { GateFigures } from '@rsio/api/rsiod/methods';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { errnoName } from '@rsio/base/lib/errors';
import { sourceKey } from '@rsio/base/lib/subnet';
import { printEndpoint } from '@rsio/base/lib/units';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { transportOf, withDataEvents, withReceiveBuffer } from '@rsio/rsiod/frontends/streams/socket';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import type { Door, DoorPlace } from './door.ts';
import type { GateClock } from './gate-clock.ts';
import { GATE_LISTEN_RETRY_MS, GATE_LOGIN_MS, GATE_STOP_MS, GATE_TCP_KEEP_ALIVE_MS } from './limits.ts';
import type { GateConnection, GateProtocol, GateTarget } from './ports/gate-protocol.ts';
import { IscsiProtocol } from './iscsi-protocol.ts';
import { NvmeProtocol } from './nvme-protocol.ts';
import type { NvmePools } from './nvme/connection-ports.ts';
import type { GateNamespace } from './ports/gate-namespace.ts';
import { GateTls, tlsWarning } from './tls/gate-tls.ts';

export interface GateLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string, fields: { readonly error: unknown }): void;
}

export interface GatePorts {
  readonly clock: Clock;
  readonly log: GateLog;
  readonly lines: RateLimitedLog;
  /** Limits the lines about each host and each address, before `lines` limits those of the gate: a host that logs in for ever silences no other. */
  readonly hostLines: RateLimitedLog;
  readonly pools: NvmePools;
  readonly time: GateClock;
  readonly door: Door;
  /** All sockets of all gates share it, because received bytes are decoded or copied before the next read. */
  readonly receiveBuffer: Buffer;
  readonly version: string;
}

interface Client {
  readonly socket: Socket;
  readonly connection: GateConnection;
  readonly place: DoorPlace;
  readonly login: Timer;
  isProven: boolean;
  /** Name of the host, once it has logged in to the target. */
  host: string | null;
}

export class Gate {
  config: ClientGateConfig;
  readonly nqn: string;
  readonly protocol: GateProtocol;
  private readonly ports: GatePorts;
  private readonly servers = new Map<string, Server>();
  private readonly retries = new Map<string, Timer>();
  private readonly clients = new Set<Client>();
  /** Counters, without the commands of open connections. */
  private readonly counts = { commands: 0, receivedBytes: 0, sentBytes: 0, refused: 0, cut: 0 };
  private hasBegun = false;
  private isClosed = false;
  private whenEmpty: (() => void) | null = null;

  constructor(config: ClientGateConfig, nqn: string, ports: GatePorts) {
    this.config = config;
    this.nqn = nqn;
    this.ports = ports;
    const protocolPorts = {
      name: nqn,
      version: ports.version,
      config: () => this.config,
      nowMs: () => ports.time.nowMs(),
      note: (sentence: string, host: string) =>
        this.say(`Host ${host} of gate ${config.name}`, `Hosts of gate ${config.name}`, () =>
          ports.log.info(`Gate ${this.config.name}: ${sentence}`),
        ),
    };
    this.protocol =
      config.protocol === 'nvme' ? new NvmeProtocol(protocolPorts, ports.pools) : new IscsiProtocol(protocolPorts, ports.pools);
  }

  /** The target at which hosts see the volumes. */
  get subsystem(): GateTarget {
    return this.protocol.target;
  }

  /** Listens at the configured addresses, and later tries again any address that cannot be used now. */
  listen(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    this.warnOfTls();
    for (const endpoint of this.config.addresses) this.open(endpoint, true);
  }

  /** Applies another configuration of the same gate. Hosts that it no longer allows, or that now have to authenticate, are cut off. */
  change(config: ClientGateConfig): void {
    const before = this.config;
    const wanted = new Set(config.addresses.map(keyOf));
    for (const [key, server] of this.servers)
      if (!wanted.has(key)) {
        server.close();
        this.servers.delete(key);
      }
    for (const [key, timer] of this.retries)
      if (!wanted.has(key)) {
        timer.cancel();
        this.retries.delete(key);
      }
    this.config = config;
    this.protocol.changed(before);
    if (config.tls !== before.tls) {
      this.cutAll(`the gate now ${config.tls ? 'requires' : 'has no'} TLS`);
      this.warnOfTls();
    }
    for (const endpoint of this.hasBegun ? config.addresses : [])
      if (!this.servers.has(keyOf(endpoint)) && !this.retries.has(keyOf(endpoint))) this.open(endpoint, true);
  }

  /** True if gates of the same name on other machines may have its volumes. */
  get hasPartner(): boolean {
    return this.config.member !== null;
  }

  get isServing(): boolean {
    return !this.isClosed;
  }

  show(namespace: GateNamespace): void {
    this.subsystem.add(namespace);
  }

  hide(nsid: number): void {
    this.subsystem.remove(nsid);
  }

  /** Names of the hosts that have logged in, without hosts that have only discovery logins. */
  get hosts(): readonly string[] {
    return [...new Set([...this.clients].flatMap(({ host }) => host ?? []))];
  }

  /** Addresses at which the gate listens now. */
  get listening(): readonly string[] {
    return [...this.servers.keys()];
  }

  tick(): void {
    const nowMs = this.ports.time.nowMs();
    for (const { connection } of this.clients) connection.tick(nowMs);
    this.protocol.tick();
  }

  /** Counts since the gate was made. */
  figures(): GateFigures {
    const figures = { ...this.counts, connections: this.clients.size, waiting: 0, waitedMs: this.waitedMs };
    for (const { connection } of this.clients) {
      figures.commands += connection.taken;
      figures.waiting += connection.watch.waits;
    }
    return figures;
  }

  /** For how long a command has waited for memory; 0 if none waits. */
  get waitedMs(): number {
    let most = 0;
    for (const { connection } of this.clients) most = Math.max(most, connection.watch.waitedMs);
    return most;
  }

  private cutAll(why: string): void {
    for (const { connection } of [...this.clients]) connection.close(why);
  }

  /**
   * Ends all connections, and waits up to GATE_STOP_MS until no volume executes their commands. Hosts repeat commands that got no answer.
   */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const server of this.servers.values()) server.close();
    for (const timer of this.retries.values()) timer.cancel();
    this.servers.clear();
    this.retries.clear();
    this.cutAll('the gate closes');
    if (this.clients.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.ports.clock.after(GATE_STOP_MS, resolve);
      this.whenEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private say(ofHost: string, ofGate: string, write: () => void): void {
    this.ports.hostLines.note(ofHost, () => this.ports.lines.note(ofGate, write));
  }

  private warnOfTls(): void {
    const warning = this.config.tls ? tlsWarning() : null;
    if (warning !== null) this.ports.log.warn(`Gate ${this.config.name}: ${warning}`);
  }

  private open(endpoint: EndpointConfig, isFirst: boolean): void {
    const { clock, log } = this.ports;
    const key = keyOf(endpoint);
    const server = createServer(
      { pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: GATE_TCP_KEEP_ALIVE_MS },
      (socket) => this.accept(socket),
    );
    this.servers.set(key, server);
    server.on('error', (error) => {
      if (this.servers.get(key) !== server) return;
      this.servers.delete(key);
      // The server may still be listening, if the error is that it could not accept a connection.
      server.close();
      if (isFirst)
        log.warn(
          `Gate ${this.config.name} cannot listen at ${key} (${errnoName(error) ?? error.message}): rsiod tries again every ${GATE_LISTEN_RETRY_MS / 1000} s`,
        );
      this.retries.set(
        key,
        clock.after(GATE_LISTEN_RETRY_MS, () => {
          this.retries.delete(key);
          this.open(endpoint, false);
        }),
      );
    });
    server.listen({ host: endpoint.address, port: endpoint.port }, () => log.info(`Gate ${this.config.name} listens at ${key}`));
  }

  private accept(socket: Socket): void {
    const { door, log, lines } = this.ports;
    if (this.isClosed) return void socket.destroy();
    let end = (_why: string): void => {};
    const place = door.enter(sourceKey(socket.remoteAddress ?? ''), (why) => end(why));
    if (place === null) {
      this.counts.refused++;
      lines.note('Gate connections refused', () =>
        log.warn('A gate refused a connection: all places belong to hosts that have logged in (rsconfig gate show)'),
      );
      return void socket.destroy();
    }
    const connection = this.serve(socket, place);
    end = (why) => connection.close(why);
  }

  private serve(accepted: Socket, place: DoorPlace): GateConnection {
    const { clock, log, lines, receiveBuffer } = this.ports;
    const from = printEndpoint(accepted.remoteAddress ?? '?', accepted.remotePort ?? null);
    const say = (sentence: string): string => `Gate ${this.config.name}, host at ${from}: ${sentence}`;
    const source = sourceKey(accepted.remoteAddress ?? '');
    const { name } = this.config;
    const refused = (sentence: string): void =>
      this.say(`Hosts at ${source} that gate ${name} refused`, `Hosts of gate ${name} that were refused`, () => log.warn(say(sentence)));
    const tls = this.config.tls ? new GateTls(accepted, { config: () => this.config, refused, knows: () => place.heard() }) : null;
    const receive = (bytes: Buffer, end: number): void => {
      this.counts.receivedBytes += end;
      if (client.host === null) place.heard();
      connection.receive(bytes, 0, end);
    };
    const plain = tls === null ? withReceiveBuffer(accepted, receiveBuffer, receive) : undefined;
    const socket = plain ?? withDataEvents(tls?.socket ?? accepted, receive);
    const transport = tls?.transport ?? transportOf(socket);
    const counted: StreamTransport = {
      ...transport,
      write: (bytes, start, lengthBytes, sent) => {
        this.counts.sentBytes += lengthBytes;
        transport.write(bytes, start, lengthBytes, sent);
      },
    };
    const events = {
      source,
      proven: (host: string | null) => this.proven(client, host),
      refused,
      cut: () => void this.counts.cut++,
      closing: (why: string) =>
        this.say(`Connections of gate ${name} from ${source}`, `Connections of gate ${name}`, () =>
          log.info(say(`the connection was closed: ${why}`)),
        ),
      failed: (error: unknown) =>
        lines.note('Gate connections that failed', () => log.error(say('an error of rsiod itself, please report it'), { error })),
      finished: () => this.finished(client),
    };
    const connection = this.protocol.connect(counted, events, (target, host) => tls?.admits({ nqn: target, hostNqn: host }) !== false);
    const login = clock.after(GATE_LOGIN_MS, () => connection.close(`no login within ${GATE_LOGIN_MS / 1000} s`));
    const client: Client = { socket, connection, place, login, isProven: false, host: null };
    this.clients.add(client);
    // The event 'close' follows an error, and the end of the input.
    socket.on('error', () => {});
    socket.on('end', () => connection.close('its host has closed it'));
    socket.on('close', () => connection.closed());
    socket.resume();
    return connection;
  }

  private proven(client: Client, host: string | null): void {
    client.login.cancel();
    client.host = host;
    client.isProven = true;
    // Nobody proves who asks for discovery, so that this connection still ends if another host needs its place.
    if (host !== null) client.place.proven();
  }

  private finished(client: Client): void {
    client.login.cancel();
    this.clients.delete(client);
    this.counts.commands += client.connection.taken;
    if (!client.isProven) this.counts.refused++;
    client.place.left();
    if (this.clients.size === 0) this.whenEmpty?.();
  }
}

function keyOf({ address, port }: EndpointConfig): string {
  return printEndpoint(address, port);
}
