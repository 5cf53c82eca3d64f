// The HTTP server that answers GET /metrics on one address. Node parses the requests; this file bounds all resources that a peer could
// exhaust. Invariants: a slow peer loses only its own connection. Every connection ends in bounded time. The answer to a request without
// the token reveals nothing, not even which paths exist.

import { listenError } from '@rsio/base/lib/listen-error';
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import { CONTENT_TYPE } from './exposition.ts';
import { ANSWER_MAX_MS, CONNECTIONS_MAX, HEADERS_MAX, HEADERS_MAX_BYTES, METRICS_IDLE_MAX_MS, REQUEST_MAX_MS } from './limits.ts';

export interface MetricsAddress {
  readonly address: string;
  readonly port: number;
  /** Token that a reader must send; null if no token is needed. */
  readonly token: string | null;
}

export class MetricsServer {
  readonly config: MetricsAddress;
  private readonly clock: Clock;
  private readonly text: () => Promise<Buffer>;
  private readonly failed: (error: RsError) => void;
  private readonly server: Server;
  /** The open connections, the oldest first. */
  private readonly sockets = new Set<Socket>();

  /** `text` returns the text of all metrics. `failed` is called when a request could not be answered. */
  constructor(config: MetricsAddress, clock: Clock, text: () => Promise<Buffer>, failed: (error: RsError) => void) {
    this.config = config;
    this.clock = clock;
    this.text = text;
    this.failed = failed;
    this.server = createServer(
      {
        maxHeaderSize: HEADERS_MAX_BYTES,
        headersTimeout: REQUEST_MAX_MS,
        requestTimeout: REQUEST_MAX_MS,
        keepAliveTimeout: METRICS_IDLE_MAX_MS,
        connectionsCheckingInterval: REQUEST_MAX_MS,
      },
      (request, response) => void this.answer(request, response),
    );
    this.server.maxHeadersCount = HEADERS_MAX;
    this.server.on('connection', (socket) => this.connected(socket));
    this.server.on('clientError', (_error, socket) => socket.destroy());
    // Answer at once, because no request needs a body.
    this.server.on('checkContinue', (request, response) => void this.answer(request, response));
    for (const event of ['upgrade', 'connect'] as const) this.server.on(event, (_request, socket) => socket.destroy());
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  /** Throws E_ADDRESS_IN_USE, E_ADDRESS_MISSING, E_RIGHTS or E_SYSTEM. */
  listen(): Promise<void> {
    const { server, config } = this;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(
          listenError(error, `offer metrics on ${printEndpoint(config.address, config.port)}`, {
            address: config.address,
            port: config.port,
          }),
        );
      server.once('error', fail);
      server.listen({ host: config.address, port: config.port, ipv6Only: true }, () => {
        server.off('error', fail);
        server.on('error', (error) => this.failed(toRsError(error)));
        resolve();
      });
    });
  }

  private connected(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (this.sockets.size <= CONNECTIONS_MAX) return;
    const [oldest] = this.sockets;
    oldest?.destroy();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const timer = this.clock.after(ANSWER_MAX_MS, () => request.socket.destroy());
    response.on('close', () => timer.cancel());
    const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    if (hasBody) response.setHeader('connection', 'close');
    if (!this.isAllowed(request.headers.authorization)) {
      response.setHeader('www-authenticate', 'Bearer');
      return send(request, response, 401, 'Send the metrics-token as Authorization: Bearer TOKEN');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(request, response, 405, 'The only method is GET');
    }
    const [path] = (request.url ?? '').split('?', 1);
    if (path !== '/metrics') return send(request, response, 404, 'The metrics are at /metrics');
    try {
      const text = await this.text();
      response.setHeader('content-type', CONTENT_TYPE);
      send(request, response, 200, text);
    } catch (thrown) {
      const error = toRsError(thrown);
      this.failed(error);
      send(request, response, 503, error.message);
    }
  }

  private isAllowed(authorization: string | undefined): boolean {
    const { token } = this.config;
    return token === null || timingSafeEqual(digest(authorization ?? ''), digest(`Bearer ${token}`));
  }
}

/** Returns a hash of the text. The hashes of texts of any length can be compared in constant time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function send(request: IncomingMessage, response: ServerResponse, status: number, body: Buffer | string): void {
  const bytes = typeof body === 'string' ? Buffer.from(`${body}\n`) : body;
  if (status !== 200) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.writeHead(status, { 'content-length': bytes.length, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
