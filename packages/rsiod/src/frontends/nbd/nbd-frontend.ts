// The NBD frontend: a Unix socket on which attached volumes are exported. No other file in this folder uses sockets. Invariant: a closed
// connection counts as open until the volume has completed all requests from the connection.

import { writeSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { LogFields } from '@rsio/common/log/log-fields';
import {
  NBD_CONNECTIONS_MAX,
  NBD_FRONTEND_BYTES_MAX,
  NBD_FRONTEND_RESERVE_BYTES,
  NBD_HANDSHAKE_TIMEOUT_MS,
  NBD_RECEIVE_BYTES,
  NBD_REFUSED_LOG_MS,
  NBD_REFUSED_MAX,
  NBD_REFUSED_TIMEOUT_MS,
  NBD_SMALL_BYTES_MAX,
  NBD_STOP_TIMEOUT_MS,
} from '../limits.ts';
import { openToGroup } from '@rsio/common/daemon/socket-group';
import { listenOnSocket } from '@rsio/common/daemon/unix-socket';
import { type Frontend, inUse, type ShownAs } from '../frontend.ts';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { DataBuffers } from './data-buffers.ts';
import { type BudgetBounds, MemoryBudget } from './memory-budget.ts';
import { exportName } from './wire/export-names.ts';
import { NbdConnection } from './nbd-connection.ts';
import type { NbdVolumes } from './nbd-handshake.ts';
import { type NbdPools, Submissions } from './nbd-transmission.ts';
import { BatchPool, type NbdTransport } from './nbd-transport.ts';

export interface NbdFrontendLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string, fields: LogFields): void;
}

export interface NbdFrontendOptions {
  readonly socketPath: string;
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
}

export class NbdFrontend implements Frontend {
  readonly needsUnused = false;
  readonly leftVolumes: readonly FrontendVolume[] = [];
  private readonly options: NbdFrontendOptions;
  private readonly shown = new Set<FrontendVolume>();
  private readonly exports: NbdVolumes;
  private readonly data: DataBuffers;
  private readonly pools: NbdPools;
  /** All sockets can share one buffer, because received bytes are decoded or copied before the next read. */
  private readonly receiveBuffer = Buffer.allocUnsafeSlow(NBD_RECEIVE_BYTES);
  private readonly clients = new Set<Client>();
  /** Connections beyond the limit; they get a message before they are closed. */
  private readonly refused = new Set<Client>();
  private readonly lines: RateLimitedLog;
  private refusals = 0;
  private refusalReportedMs = Number.NEGATIVE_INFINITY;
  private server: Server | null = null;
  private accepted = 0;
  private whenEmpty: (() => void) | null = null;

  constructor(options: NbdFrontendOptions) {
    this.options = options;
    const { attached, mayExport } = options;
    this.exports = { list: () => attached().filter((volume) => this.shown.has(volume) && mayExport(volume)) };
    this.data = new DataBuffers(options.clock);
    this.lines = new RateLimitedLog(options.clock, options.log);
    const budget = new MemoryBudget(BUDGET, setImmediate);
    const submissions = new Submissions(setImmediate);
    this.pools = { submissions, data: this.data, batches: new BatchPool(), budget, schedule: setImmediate };
  }

  /**
   * Opens the socket. Throws E_SOCKET_PATH (the path is too long), E_ALREADY_RUNNING (another process is listening on the socket), E_CONFIG
   * and E_RIGHTS (see openToGroup), and E_SYSTEM.
   */
  async start(): Promise<void> {
    const { socketPath, group, log } = this.options;
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
    return Promise.resolve();
  }

  shownAs(volume: FrontendVolume): ShownAs | null {
    if (!this.options.mayExport(volume)) return null;
    return { raw: null, block: `nbd+unix:///${exportName(volume)}?socket=${this.options.socketPath}` };
  }

  /** Does nothing, because NBD clients cannot be notified when a volume grows; they get the new size when they reconnect. */
  grown(): Promise<void> {
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
  }

  async drop(volume: FrontendVolume): Promise<void> {
    await this.hide(volume, true);
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

  /** Takes no more requests, answers the requests in flight, and closes all connections within NBD_STOP_TIMEOUT_MS. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = null;
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
    else if (this.clients.size < NBD_CONNECTIONS_MAX) {
      const client = this.open(socket, this.exports, NBD_HANDSHAKE_TIMEOUT_MS);
      this.clients.add(client);
    } else this.refuse(socket);
  }

  /** Sends the client a message before closing the connection; otherwise, the client would conclude that the socket is broken. */
  private refuse(socket: Socket): void {
    const sentence = `${this.clients.size} NBD connections are open, which is the limit: close one of them`;
    this.reportRefusal(sentence);
    if (this.refused.size >= NBD_REFUSED_MAX) socket.destroy();
    else this.refused.add(this.open(socket, { list: () => [], refusal: sentence }, NBD_REFUSED_TIMEOUT_MS));
  }

  private reportRefusal(sentence: string): void {
    const { log, clock } = this.options;
    this.refusals++;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.refusalReportedMs < NBD_REFUSED_LOG_MS) return;
    this.refusalReportedMs = nowMs;
    log.warn(`NBD connection refused (${this.refusals} so far): ${sentence}`);
  }

  private open(socket: Socket, volumes: NbdVolumes, handshakeMs: number): Client {
    const { log, clock, receiveInPlace = true } = this.options;
    const number = ++this.accepted;
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
      finished: () => this.finished(client),
    });
    const client: Client = { number, connection, volume: null, timer: null };
    client.timer = clock.after(handshakeMs, () => {
      const late = `NBD connection ${number} closed: no export chosen within ${handshakeMs} ms`;
      if (!this.refused.has(client)) this.lines.note('NBD connections without an export', () => log.warn(late));
      connection.abort();
    });
    opened.on('end', () => connection.inputEnd());
    // An error on a local socket always means that the client is gone. The event 'close' follows.
    opened.on('error', () => {});
    opened.on('close', () => connection.closed());
    connection.start();
    opened.resume();
    return client;
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
    if (this.clients.size === 0) this.whenEmpty?.();
  }
}

type Receive = (bytes: Buffer, end: number) => void;

/**
 * Returns the accepted connection as a socket that receives into `buffer`. Node offers a receive buffer for outgoing connections only, so
 * the handle is moved to a new socket. Moving the handle works on Node 20, 22 and 24 but is undocumented, so every step is checked.
 * Receiving into `buffer` saves an allocation and a copy for each read from the socket, which makes WRITEs faster. Returns undefined if the
 * handle cannot be moved with this version of Node; `accepted` is then unchanged.
 */
function withReceiveBuffer(accepted: Socket, buffer: Buffer, receive: Receive): Socket | undefined {
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (typeof handle !== 'object' || handle === null || typeof Reflect.get(handle, 'useUserBuffer') !== 'function') return undefined;
  const callback = (bytes: number): boolean => {
    receive(buffer, bytes);
    return true;
  };
  const options = { handle, allowHalfOpen: true, manualStart: true, onread: { buffer, callback } };
  const moved = new Socket(options);
  if (Reflect.get(moved, '_handle') !== handle) return undefined;
  // The accepted socket is destroyed only so that the server no longer counts the socket. The handle stays open.
  Reflect.set(accepted, '_handle', null);
  accepted.destroy();
  return moved;
}

function withDataEvents(accepted: Socket, receive: Receive): Socket {
  accepted.on('data', (bytes: Buffer) => receive(bytes, bytes.length));
  return accepted;
}

function transportOf(socket: Socket): NbdTransport {
  return {
    write: (bytes, sent) => void socket.write(bytes, sent),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    // Closes both directions. If only one direction were closed, a client could keep the connection open.
    end: () => void socket.end(() => socket.destroy()),
    destroy: () => void socket.destroy(),
    isPeerGone: () => isPeerGone(socket),
  };
}

const NO_BYTES = Buffer.alloc(0);

/**
 * Writes zero bytes to the socket, which fails if the other end of a Unix socket has been closed. Node itself reports the end of a
 * connection only after it has read all data before the end. The property `fd` is undocumented, so a socket without `fd` counts as closed.
 */
function isPeerGone(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  if (typeof fd !== 'number' || fd < 0) return true;
  try {
    writeSync(fd, NO_BYTES, 0, 0);
    return false;
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN');
  }
}
