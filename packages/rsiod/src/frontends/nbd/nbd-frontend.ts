// The NBD frontend: a Unix socket on which attached volumes are exported. If a client chooses a volume of another process, the connection
// is passed to the frontend of that process. Invariants: a closed connection counts as open until the volume has completed all requests
// from the connection. A passed connection counts as open until the other process reports its end.

import { createServer, type Server, type Socket } from 'node:net';
import { assert } from '@rsio/base/lib/assert';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { LogFields } from '@rsio/base/log/log-fields';
import {
  NBD_CONNECTIONS_MAX,
  NBD_FRONTEND_BYTES_MAX,
  NBD_FRONTEND_RESERVE_BYTES,
  NBD_HANDSHAKE_TIMEOUT_MS,
  NBD_RECEIVE_BYTES,
  NBD_REFUSED_LOG_MS,
  NBD_REFUSED_MAX,
  NBD_REFUSED_TIMEOUT_MS,
  NBD_REQUEST_MAX_BYTES,
  NBD_SMALL_BYTES_MAX,
  NBD_STOP_TIMEOUT_MS,
} from '../limits.ts';
import { openToGroup } from '@rsio/base/daemon/socket-group';
import { listenOnSocket } from '@rsio/base/daemon/unix-socket';
import { type Frontend, inUse, type ShownAs } from '../frontend.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { DataBuffers } from '../streams/data-buffers.ts';
import { type BudgetBounds, MemoryBudget } from '../streams/memory-budget.ts';
import { exportName } from './wire/export-names.ts';
import { exportFacts, type NbdExport } from './wire/nbd-export.ts';
import { NbdConnection } from './nbd-connection.ts';
import type { Agreement, NbdVolumes } from './nbd-handshake.ts';
import { detach, transportOf, withDataEvents, withReceiveBuffer } from '../streams/socket.ts';
import { type NbdPools, Submissions } from './nbd-transmission.ts';
import { BatchPool } from '../streams/transport.ts';
import { adopted, type PassedConnection, passedConnection } from './passed-connection.ts';

export interface NbdFrontendLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string, fields: LogFields): void;
}

/** The exports of other processes, and the method that passes a connection to the process with the export. */
export interface NbdElsewhere {
  /** The exports in the order in which clients see them, after the exports of this process. */
  exports(): readonly NbdExport[];
  /**
   * Passes a connection whose client has chosen one of these exports; see sendConnection. Calls `ended`, which closes the socket in this
   * process, when the connection or its process has ended, or when the connection cannot be passed.
   */
  pass(passed: PassedConnection, socket: Socket, ended: () => void): void;
}

export interface NbdFrontendOptions {
  readonly socketPath: string;
  /** False if this process only adopts connections. The default is true. */
  readonly listens?: boolean;
  /** The group that may use the socket (nbd-group); null if only the owner may use it. */
  readonly group: string | null;
  /** The attached volumes in the order in which clients see them. Only attached volumes that have been passed to `show` are exported. */
  readonly attached: () => readonly FrontendVolume[];
  /** True if the current configuration allows a volume to be exported. */
  readonly mayExport: (volume: FrontendVolume) => boolean;
  readonly log: NbdFrontendLog;
  readonly clock: Clock;
  /** True if connections may receive directly into the shared buffer (see withReceiveBuffer). The default is true. */
  readonly receiveInPlace?: boolean;
  /** Called when the exports of this process, which `facts` returns, may have changed. The default does nothing. */
  readonly changed?: (frontend: Pick<NbdFrontend, 'facts'>) => void;
  /** Undefined if this process has all exports. */
  readonly elsewhere?: NbdElsewhere;
  /** This process's part of the memory for requests, if several processes share the memory. */
  readonly budget?: Pick<BudgetBounds, 'limitBytes' | 'reserveBytes'>;
}

const BUDGET: BudgetBounds = {
  limitBytes: NBD_FRONTEND_BYTES_MAX,
  reserveBytes: NBD_FRONTEND_RESERVE_BYTES,
  smallBytes: DataBuffers.memoryBytes(NBD_SMALL_BYTES_MAX),
};

interface Client {
  readonly number: number;
  readonly connection: NbdConnection;
  volume: FrontendVolume | null;
  timer: Timer | null;
  /** Called once, when the connection has ended. */
  readonly ended: () => void;
}

export class NbdFrontend implements Frontend {
  readonly needsUnused = false;
  readonly audience = ['programs', 'orders'] as const;
  readonly leftVolumes: readonly FrontendVolume[] = [];
  private readonly options: NbdFrontendOptions;
  private readonly shown = new Set<FrontendVolume>();
  private readonly exports: NbdVolumes;
  private readonly data: DataBuffers;
  private readonly pools: NbdPools;
  /** All sockets can share one buffer, because received bytes are decoded or copied before the next read. */
  private readonly receiveBuffer = Buffer.allocUnsafeSlow(NBD_RECEIVE_BYTES);
  private readonly clients = new Set<Client>();
  /** Numbers of the connections that were passed to other processes. */
  private readonly passed = new Set<number>();
  /** Connections beyond the limit; they get a message before they are closed. */
  private readonly refused = new Set<Client>();
  private readonly lines: RateLimitedLog;
  private refusals = 0;
  private refusalReportedMs = Number.NEGATIVE_INFINITY;
  private server: Server | null = null;
  private accepted = 0;
  private isClosed = false;
  private whenEmpty: (() => void) | null = null;

  constructor(options: NbdFrontendOptions) {
    this.options = options;
    const { elsewhere } = options;
    this.exports = { list: () => (elsewhere === undefined ? this.own() : [...this.own(), ...elsewhere.exports()]) };
    this.data = new DataBuffers(options.clock);
    this.lines = new RateLimitedLog(options.clock, options.log);
    const bounds = { ...BUDGET, ...options.budget };
    const hasRoom = DataBuffers.memoryBytes(NBD_REQUEST_MAX_BYTES) <= bounds.limitBytes + bounds.reserveBytes;
    assert(hasRoom, 'The largest NBD request must fit the memory of its process');
    const budget = new MemoryBudget(bounds, setImmediate);
    const submissions = new Submissions(setImmediate);
    this.pools = { submissions, data: this.data, batches: new BatchPool(), budget, schedule: setImmediate };
  }

  /**
   * Opens the socket. Throws E_SOCKET_PATH (the path is too long), E_ALREADY_RUNNING (another process is listening on the socket), E_CONFIG
   * and E_RIGHTS (see openToGroup), and E_SYSTEM.
   */
  async start(): Promise<void> {
    const { socketPath, group, log, listens = true } = this.options;
    if (!listens) return;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => this.accept(socket));
    await listenOnSocket(server, socketPath);
    this.server = server;
    server.on('error', (error) => log.warn(`NBD socket ${socketPath}: ${error.message}`));
    if (group === null) return;
    try {
      openToGroup(socketPath, group, 'nbd-group');
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  show(volume: FrontendVolume): Promise<void> {
    this.shown.add(volume);
    this.options.changed?.(this);
    return Promise.resolve();
  }

  shownAs(volume: FrontendVolume): ShownAs | null {
    if (!this.options.mayExport(volume)) return null;
    return { raw: null, block: `nbd+unix:///${exportName(volume)}?socket=${this.options.socketPath}` };
  }

  /** Does nothing, because NBD clients cannot be notified when a volume grows; they get the new size when they reconnect. */
  grown(): Promise<void> {
    this.options.changed?.(this);
    return Promise.resolve();
  }

  incarnationChanged(): void {}

  usersOf(volume: FrontendVolume): Promise<readonly string[]> {
    let count = 0;
    for (const client of this.clients) if (client.volume === volume) count++;
    return Promise.resolve(count === 0 ? [] : [`${count} NBD connection${count === 1 ? '' : 's'} to ${this.options.socketPath}`]);
  }

  /** Hides the volume from new clients. Existing connections can use the volume until it is detached; after that, their I/O fails. */
  async hide(volume: FrontendVolume, force: boolean): Promise<void> {
    const users = force ? [] : await this.usersOf(volume);
    if (users.length > 0) throw inUse(users);
    this.shown.delete(volume);
    this.options.changed?.(this);
  }

  async drop(volume: FrontendVolume): Promise<void> {
    await this.hide(volume, true);
  }

  cut(volume: FrontendVolume): void {
    for (const client of [...this.clients]) if (client.volume === volume) client.connection.abort();
  }

  /** Does nothing, because the connections of an earlier process were closed when that process exited. */
  release(): Promise<void> {
    return Promise.resolve();
  }

  releaseLeft(): Promise<void> {
    return Promise.resolve();
  }

  async handOver(): Promise<void> {
    await this.close();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** The exports of this process, as plain JSON for the process that performs the handshakes. */
  facts(): NbdExport[] {
    return this.own().map(exportFacts);
  }

  /**
   * Continues a connection that another process has passed, because its client has chosen an export of this process. Call `adopt` in the
   * event in which the connection has arrived. The socket is undefined if Node could not pass it. Calls `ended` once, when the connection
   * has ended.
   */
  adopt(socket: Socket | undefined, passed: unknown, ended: () => void): void {
    const found = adopted(passed, this.own());
    const why = typeof found === 'string' ? found : this.cannotAdopt(socket);
    if (typeof found === 'string' || socket === undefined || why !== null) {
      const line = `An NBD connection from another process was closed: ${why}`;
      this.lines.note('NBD connections that could not be adopted', () => this.options.log.warn(line));
      socket?.destroy();
      return ended();
    }
    const { number, agreed, reply, rest } = found;
    const { socket: moved, unread } = detach(socket);
    const client = this.open(moved, number, this.exports, ended);
    this.clients.add(client);
    client.connection.adopt(agreed, reply, Buffer.concat([rest, unread]));
  }

  private cannotAdopt(socket: Socket | undefined): string | null {
    if (socket === undefined || socket.destroyed) return 'it has ended on the way';
    if (this.isClosed) return 'this process stops';
    return this.clients.size < NBD_CONNECTIONS_MAX ? null : `${NBD_CONNECTIONS_MAX} NBD connections are open, which is the limit`;
  }

  /** Takes no more requests, answers the requests in flight, and closes all connections within NBD_STOP_TIMEOUT_MS. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = null;
    this.isClosed = true;
    server?.close();
    for (const client of this.refused) client.connection.abort();
    for (const client of [...this.clients]) client.connection.drain();
    if (this.clients.size > 0) await this.emptyOrTimeout();
    for (const client of [...this.clients]) client.connection.abort();
    this.data.close();
    this.lines.close();
  }

  /** Number of pooled buffers in use. The number is 0 while no request is in flight. */
  get buffersInUse(): number {
    return this.pools.data.inUse + this.pools.batches.inUse;
  }

  private own(): FrontendVolume[] {
    const { attached, mayExport } = this.options;
    return attached().filter((volume) => this.shown.has(volume) && mayExport(volume));
  }

  private emptyOrTimeout(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.options.clock.after(NBD_STOP_TIMEOUT_MS, resolve);
      this.whenEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private accept(socket: Socket): void {
    if (this.server === null) socket.destroy();
    else if (this.clients.size + this.passed.size < NBD_CONNECTIONS_MAX) {
      this.clients.add(this.greet(socket, this.exports, NBD_HANDSHAKE_TIMEOUT_MS));
    } else this.refuse(socket);
  }

  /** Sends the client a message before closing the connection; otherwise, the client would conclude that the socket is broken. */
  private refuse(socket: Socket): void {
    const sentence = `${this.clients.size + this.passed.size} NBD connections are open, which is the limit: close one of them`;
    this.reportRefusal(sentence);
    if (this.refused.size >= NBD_REFUSED_MAX) socket.destroy();
    else this.refused.add(this.greet(socket, { list: () => [], refusal: sentence }, NBD_REFUSED_TIMEOUT_MS));
  }

  private reportRefusal(sentence: string): void {
    const { log, clock } = this.options;
    this.refusals++;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.refusalReportedMs < NBD_REFUSED_LOG_MS) return;
    this.refusalReportedMs = nowMs;
    log.warn(`NBD connection refused (${this.refusals} so far): ${sentence}`);
  }

  private greet(socket: Socket, volumes: NbdVolumes, handshakeMs: number): Client {
    const { log, clock } = this.options;
    const client = this.open(socket, ++this.accepted, volumes, () => {});
    const { number, connection } = client;
    client.timer = clock.after(handshakeMs, () => {
      const late = `NBD connection ${number} closed: no export chosen within ${handshakeMs} ms`;
      if (!this.refused.has(client)) this.lines.note('NBD connections without an export', () => log.warn(late));
      connection.abort();
    });
    connection.start();
    return client;
  }

  private open(socket: Socket, number: number, volumes: NbdVolumes, ended: () => void): Client {
    const { log, receiveInPlace = true } = this.options;
    const receive = (bytes: Buffer, end: number): void => connection.receive(bytes, 0, end);
    const moved = receiveInPlace ? withReceiveBuffer(socket, this.receiveBuffer, receive) : undefined;
    const opened = moved ?? withDataEvents(socket, receive);
    const connection: NbdConnection = new NbdConnection(transportOf(opened), volumes, this.pools, {
      serving: (volume) => this.serving(client, volume),
      broken: (reason) => this.lines.note('NBD connections that were closed', () => log.warn(`NBD connection ${number} closed: ${reason}`)),
      failed: (error) =>
        this.lines.note('NBD connections that failed', () =>
          log.error(`NBD connection ${number} closed: an error of rsiod itself, please report it`, { error }),
        ),
      elsewhere: (agreed, reply, rest) => this.pass(client, opened, agreed, reply, rest),
      finished: () => this.finished(client),
    });
    const client: Client = { number, connection, volume: null, timer: null, ended };
    opened.on('end', () => connection.inputEnd());
    // An error on a local socket always means that the client is gone. The event 'close' follows.
    opened.on('error', () => {});
    opened.on('close', () => connection.closed());
    // Nothing is received before the end of this event, so the connection may still pause the socket.
    opened.resume();
    return client;
  }

  private pass(client: Client, opened: Socket, agreed: Agreement, reply: Buffer, rest: Buffer): void {
    const { number } = client;
    client.timer?.cancel();
    this.clients.delete(client);
    const { socket, unread } = detach(opened);
    const ended = (): void => {
      this.passed.delete(number);
      socket.destroy();
    };
    this.passed.add(number);
    try {
      this.options.elsewhere?.pass(passedConnection(number, agreed, reply, Buffer.concat([rest, unread])), socket, ended);
    } catch (thrown) {
      ended();
      throw thrown;
    }
  }

  private serving(client: Client, volume: FrontendVolume): void {
    client.timer?.cancel();
    client.volume = volume;
    const name = exportName(volume);
    this.lines.note(`NBD connections that use ${name}`, () => this.options.log.info(`NBD connection ${client.number} uses ${name}`));
  }

  private finished(client: Client): void {
    client.timer?.cancel();
    if (this.refused.delete(client)) return;
    const { volume } = client;
    this.clients.delete(client);
    if (volume !== null) {
      const name = exportName(volume);
      const ended = `NBD connection ${client.number} to ${name} has ended`;
      this.lines.note(`NBD connections to ${name} that ended`, () => this.options.log.info(ended));
    }
    client.ended();
    if (this.clients.size === 0) this.whenEmpty?.();
  }
}
