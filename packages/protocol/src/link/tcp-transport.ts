// The TCP transport. A socket with Node's option `onread` reads into one static buffer, which makes large WRITEs cheap. All other sockets
// use 'data' events. The transport knows nothing about frames, and always sets noDelay. tls-socket.ts begins TLS.

import net from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';
import { errnoName } from '@rsio/base/lib/errors';
import { sendAtOnce } from './send-at-once.ts';
import { CONNECT_TIMEOUT_MS, LAST_WORDS_TIMEOUT_MS, RECEIVE_BUFFER_BYTES } from './limits.ts';
import type { Connector, PathTransport, TlsKey, TransportEvents } from './path-transport.ts';
import { type TcpHandle, tlsSocketOver } from './tls-socket.ts';

class TcpTransport implements PathTransport {
  events: TransportEvents | null = null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  cipher: string | null = null;
  private socket: net.Socket;
  private readonly buffer: Buffer | null;
  private reset: () => void = () => this.socket.resetAndDestroy();
  private isSecuring = false;
  private isFinished = false;
  private failure: string | null = null;

  /** `buffer`: the static receive buffer of the socket; null if it uses 'data' events. */
  constructor(socket: net.Socket, buffer: Buffer | null) {
    this.socket = socket;
    this.buffer = buffer;
    this.localAddress = socket.localAddress ?? '';
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    socket.setNoDelay(true);
    this.watch(socket);
  }

  bytes(buffer: Buffer, offset: number, lengthBytes: number): void {
    if (!this.isFinished) this.events?.onBytes(buffer, offset, lengthBytes);
  }

  startTls(key: TlsKey, secured: () => void): void {
    const handle = this.socket.writableLength > 0 ? null : takeHandle(this.socket);
    if (handle === null) {
      this.failure = 'TLS could not begin on this connection';
      // A socket emits 'close' only after this call has returned, so no callback runs during the call.
      this.socket.destroy();
      return;
    }
    this.isSecuring = true;
    const buffer = this.buffer ?? Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
    const callback = (lengthBytes: number): boolean => {
      // Pass on no data before the connection is secure. TLS also reports data that the peer sends directly after its last handshake
      // message.
      if (!this.isSecuring) this.bytes(buffer, 0, lengthBytes);
      return true;
    };
    const tls = tlsSocketOver(handle, key, { buffer, callback }, (cipher) => {
      if (this.isFinished) return;
      if (cipher === null) {
        this.failure = 'TLS: the peer does not have the key of this connection';
        this.reset();
        return;
      }
      this.isSecuring = false;
      this.cipher = cipher;
      secured();
    });
    this.socket = tls.socket;
    this.reset = () => tls.reset();
    this.watch(tls.socket);
    tls.socket.resume();
  }

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    if (this.cipher === null && !this.isSecuring) sendAtOnce(this.socket, buffer, start, lengthBytes, done);
    else this.socket.write(buffer.subarray(start, start + lengthBytes), done);
  }

  destroy(reset: boolean): void {
    const hasEnded = this.isFinished;
    this.isFinished = true;
    // An ended socket cannot be reset: Node would keep its descriptor open.
    if (reset && !hasEnded) this.reset();
    else this.socket.destroy();
  }

  end(): void {
    this.isFinished = true;
    // Use a separate timer. The socket's own timeout would never expire while the peer keeps sending, because every byte restarts the
    // timeout.
    const deadline = systemClock.after(LAST_WORDS_TIMEOUT_MS, () => this.socket.destroy());
    this.socket.once('close', () => deadline.cancel());
    this.socket.end(() => this.socket.destroy());
  }

  private watch(socket: net.Socket): void {
    socket.on('error', (error) => {
      this.failure = reasonOf(error);
      // After a TLS error, Node leaves the socket open.
      socket.destroy();
    });
    socket.on('end', () => this.close('The peer closed the connection'));
    socket.on('close', () => this.close(this.failure ?? 'The connection was closed'));
  }

  private close(reason: string): void {
    if (this.isFinished) return;
    this.isFinished = true;
    this.socket.destroy();
    this.events?.onClosed(reason);
  }
}

function reasonOf(error: Error): string {
  const errno = errnoName(error);
  if (errno !== undefined) return `${errno}: ${sentenceOf(errno)}`;
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  // Show only the reason, because OpenSSL's whole message contains line numbers of its source.
  return typeof code === 'string' && code.startsWith('ERR_SSL') && typeof reason === 'string' ? `TLS: ${reason}` : error.message;
}

function sentenceOf(errno: string): string {
  switch (errno) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection was reset';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'no route to that address';
    case 'ETIMEDOUT':
      return 'no answer';
    case 'EADDRNOTAVAIL':
      return 'this machine does not have the local address';
    default:
      return 'the connection failed';
  }
}

/**
 * Options of net.Socket's constructor that are missing from Node's types. With these options, the constructor creates a socket over an
 * existing handle, with `onread`.
 */
interface HandleSocketOptions {
  handle: unknown;
  onread: { buffer: Buffer; callback: (lengthBytes: number, buffer: Buffer) => boolean };
}

const SocketOverHandle = net.Socket as unknown as new (options: HandleSocketOptions) => net.Socket;

/** Takes the TCP handle out of a socket, and stops reading. Returns null if the socket has no handle or has read bytes ahead. */
function takeHandle(socket: net.Socket): TcpHandle | null {
  const owned = socket as unknown as { _handle: TcpHandle | null };
  const handle = owned._handle;
  if (handle === null || socket.readableLength > 0) return null;
  owned._handle = null;
  // Always stop reading first: a socket from another process is already being read, and a second start would fail (EALREADY).
  handle.readStop?.();
  handle.reading = false;
  return handle;
}

/**
 * Takes over a connected socket. The socket must be paused (for example, by `stopReading`), or never read by the current process. The
 * caller must no longer use the socket. Reading begins in the next event-loop turn.
 */
export function adoptSocket(socket: net.Socket): PathTransport {
  const handle = takeHandle(socket);
  if (handle === null) return dataTransport(socket);
  const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
  let transport: TcpTransport | null = null;
  const adopted = new SocketOverHandle({
    handle,
    onread: {
      buffer,
      callback: (lengthBytes) => {
        transport?.bytes(buffer, 0, lengthBytes);
        return true;
      },
    },
  });
  transport = new TcpTransport(adopted, buffer);
  adopted.resume();
  return transport;
}

/**
 * Stops reading permanently, so that the socket can be sent to another process. If the socket were only paused, Node would continue to read
 * into its own buffer, and those bytes would be lost. Returns false if the socket cannot be handed over, because bytes have already been
 * received.
 */
export function stopReading(socket: net.Socket): boolean {
  socket.pause();
  const { _handle: handle } = socket as unknown as { _handle: { readStop?: () => void; reading?: boolean } | null };
  handle?.readStop?.();
  // Mark the handle as reading. Without this mark, Node would start the handle again after a chunk, because even a paused stream fills its
  // buffer.
  if (handle !== null) handle.reading = true;
  return socket.readableLength === 0;
}

/** Returns the descriptor of a connection; null if the socket has no descriptor. The socket still owns the descriptor. */
export function descriptorOf(socket: net.Socket): number | null {
  const { _handle: handle } = socket as unknown as { _handle: { readonly fd?: number } | null };
  return handle?.fd === undefined || handle.fd < 0 ? null : handle.fd;
}

/** Creates a transport that uses 'data' events, for unproven connections and for sockets without a handle. */
export function dataTransport(socket: net.Socket): PathTransport {
  const transport = new TcpTransport(socket, null);
  socket.on('data', (chunk: Buffer) => transport.bytes(chunk, 0, chunk.length));
  return transport;
}

export const tcpConnector: Connector = {
  connect(localAddress, address, port, opened, failed) {
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
    let transport: TcpTransport | null = null;
    let settled = false;
    const socket = net.connect({
      host: address,
      port,
      localAddress,
      onread: {
        buffer,
        callback: (lengthBytes) => {
          transport?.bytes(buffer, 0, lengthBytes);
          return true;
        },
      },
    });
    const fail = (reason: string): void => {
      if (settled) return;
      settled = true;
      socket.destroy();
      failed(reason);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(`ETIMEDOUT: no answer within ${CONNECT_TIMEOUT_MS} ms`));
    socket.once('error', (error) => fail(reasonOf(error)));
    socket.once('connect', () => {
      if (settled) return;
      settled = true;
      socket.setTimeout(0);
      socket.removeAllListeners('error');
      transport = new TcpTransport(socket, buffer);
      opened(transport);
    });
    return {
      cancel: () => {
        if (settled) return;
        settled = true;
        socket.on('error', () => undefined);
        socket.destroy();
      },
    };
  },
};
