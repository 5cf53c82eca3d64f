// The HTTP or HTTPS server: converts incoming data to a Request, passes the Request to a handler, and writes the handler's Reply. Enforces
// time limits and bounds. Invariants: every connection, header, body and wait is bounded; a slow or faulty peer loses only its own
// connection.

import { listenError } from '@rsio/base/lib/listen-error';
import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { sourceKey } from '@rsio/base/lib/subnet';
import { printEndpoint } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { Credentials } from '../config/credentials.ts';
import type { Listen } from '../config/value-types.ts';
import { SECURITY_HEADERS, plain, type Answer } from './answer.ts';
import { Connections, type Connection } from './connections.ts';
import {
  API_ANSWER_MS,
  API_BODY_MAX_BYTES,
  CLOSE_MS,
  HANDSHAKE_MS,
  HEADERS_MS,
  KEEP_ALIVE_MS,
  KEEP_ALIVE_TOLD_SECONDS,
  LOOK_MS,
  REQUESTS_PER_CONNECTION_MAX,
  REQUEST_MS,
  SILENCE_MS,
  WEB_BODY_MAX_BYTES,
  WEB_CONNECTIONS_MAX,
  WEB_HEADERS_MAX,
  WEB_HEADERS_MAX_BYTES,
  WEB_URL_MAX_CHARS,
} from '../limits.ts';
import { asProblem } from './problem.ts';
import type { EventStream, Handler } from './reply.ts';
import { isApiPath, parseBearer, parseCookies, parseForm, parsePath, type Request } from './request.ts';

// Reads the body of a form, or of a request for the HTTP interface. Invariant: at most its maximum is kept.
// The setting requestTimeout in web-server.ts limits the time.
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const JSON_TYPES = /^application\/json\s*(;|$)/i;

/** What a body may be. */
interface BodyKind {
  readonly type: RegExp;
  readonly maxBytes: number;
  readonly wrongType: string;
  readonly tooLarge: string;
}

const FORM: BodyKind = {
  type: FORM_TYPE,
  maxBytes: WEB_BODY_MAX_BYTES,
  wrongType: 'Send a form: application/x-www-form-urlencoded',
  tooLarge: `A form may have ${WEB_BODY_MAX_BYTES} bytes`,
};
const JSON_BODY: BodyKind = {
  type: JSON_TYPES,
  maxBytes: API_BODY_MAX_BYTES,
  wrongType: 'Send JSON: application/json',
  tooLarge: `A body may have ${API_BODY_MAX_BYTES} bytes`,
};

/** Resolves with the text of the body, or with an error answer if the body is not acceptable. Rejects if the peer disconnects. */
async function readBody(message: IncomingMessage, { type, maxBytes, ...texts }: BodyKind): Promise<string | Answer> {
  const tooLarge = plain(413, texts.tooLarge);
  if (!type.test(message.headers['content-type'] ?? '')) return plain(415, texts.wrongType);
  if (Number(message.headers['content-length'] ?? 0) > maxBytes) return tooLarge;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // The connection must stay open for the answer, even if the body is too large.
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) return tooLarge;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  return isUtf8(body) ? body.toString('utf8') : plain(400, 'The body is not UTF-8');
}

const BOUNDS = {
  maxHeaderSize: WEB_HEADERS_MAX_BYTES,
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: LOOK_MS,
  requireHostHeader: true,
  insecureHTTPParser: false,
} as const;

const METHODS = 'GET, HEAD, POST';

export class WebServer {
  readonly isTls: boolean;
  private readonly handler: Handler;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly server: Server | TlsServer;
  private readonly connections = new Connections();
  /**
   * Key: remote address and port. Value: the connection. The socket object cannot be the key: with TLS, the socket object of a request is
   * not the socket object of the connection that carries the request.
   */
  private readonly byEnd = new Map<string, Connection>();

  /** `credentials`: null for plain HTTP. Throws E_CONFIG if the credentials cannot be used. */
  constructor(credentials: Credentials | null, handler: Handler, clock: Clock, log: Log) {
    this.handler = handler;
    this.clock = clock;
    this.log = log;
    this.isTls = credentials !== null;
    const take = (message: IncomingMessage, response: ServerResponse): void => void this.take(message, response);
    this.server =
      credentials === null
        ? createServer(BOUNDS, take)
        : createTlsServer({ ...BOUNDS, handshakeTimeout: HANDSHAKE_MS, ...tlsOptions(credentials) }, take);
    // Node still counts a connection for a moment after `connections` has closed it, so Node's limit must be larger than our bound.
    this.server.maxConnections = 2 * WEB_CONNECTIONS_MAX;
    this.server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
    this.server.maxHeadersCount = WEB_HEADERS_MAX;
    this.server.timeout = SILENCE_MS;
    this.server.on('connection', (socket: Socket) => this.count(socket));
  }

  /** The port on which the server listens; 0 before `listen`. */
  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Starts to listen. Throws E_ADDRESS_IN_USE, E_ADDRESS_MISSING, E_RIGHTS or E_SYSTEM. */
  listen({ address, port }: Listen): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(listenError(error, `listen on ${printEndpoint(address, port)} (listen in [web])`));
      this.server.once('error', failed);
      this.server.listen({ host: address, port }, () => {
        this.server.off('error', failed);
        this.server.on('error', (error) => this.log.error(`The server of the pages has failed: ${error.message}`));
        resolve();
      });
    });
  }

  /** Uses these credentials for new connections. Throws E_CONFIG if the credentials cannot be used. */
  renew(credentials: Credentials): void {
    if ('setSecureContext' in this.server) this.server.setSecureContext(tlsOptions(credentials));
  }

  /** Stops listening, and resolves when all connections are closed. Connections that are still open after CLOSE_MS are closed by force. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.after(CLOSE_MS, () => this.server.closeAllConnections());
      this.server.close(() => {
        timer.cancel();
        resolve();
      });
      this.server.closeIdleConnections();
    });
  }

  private count(socket: Socket): void {
    const end = endOf(socket);
    const connection = this.connections.add(sourceKey(socket.remoteAddress ?? ''), () => void socket.destroy());
    this.byEnd.set(end, connection);
    socket.once('close', () => {
      connection.closed();
      if (this.byEnd.get(end) === connection) this.byEnd.delete(end);
    });
  }

  /** Answers one request. Never rejects. */
  private async take(message: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const isApi = isApiPath(message.url?.split('?')[0] ?? '');
    const refused = (answer: Answer): Answer => (isApi ? asProblem(answer) : answer);
    try {
      const request = await this.read(message);
      const connection = this.byEnd.get(endOf(message.socket));
      const proven = (token: string): void => connection?.prove(token);
      // A method of a daemon may take longer than the pages, which never wait for one.
      if (isApi) message.socket.setTimeout(API_ANSWER_MS);
      const reply = 'status' in request ? refused(request) : await this.handler(request, proven);
      if (isApi) message.socket.setTimeout(SILENCE_MS);
      if ('open' in reply) this.stream(reply, message, response);
      else this.send(reply, message, response);
    } catch (thrown) {
      const { message: sentence, stack } = toRsError(thrown);
      if (!message.destroyed) this.log.error(`A request failed: ${sentence}`, { error: thrown, stack });
      this.send(refused(plain(500, 'An internal error: the log of rsweb says which')), message, response);
    }
  }

  /** Returns the request, or an error answer if the form of the request is not acceptable. */
  private async read(message: IncomingMessage): Promise<Request | Answer> {
    const { method = '', url = '', headers, rawHeaders } = message;
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return plain(405, 'No such method', { Allow: METHODS });
    if (url.length > WEB_URL_MAX_CHARS) return plain(414, `A URL may have ${WEB_URL_MAX_CHARS} characters`);
    const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
    const [rawPath = '', ...rest] = url.split('?');
    const path = parsePath(rawPath);
    if (path === null || hosts !== 1) return plain(400, 'The request is malformed');
    const isApi = isApiPath(path);
    const body = method === 'POST' ? await readBody(message, isApi ? JSON_BODY : FORM) : '';
    if (typeof body !== 'string') return body;
    const form = parseForm(isApi ? '' : body);
    if (form === null) return plain(413, 'The form has too many fields');
    return {
      method: method === 'POST' ? 'POST' : 'GET',
      path,
      query: new URLSearchParams(rest.join('?')),
      host: headers.host ?? '',
      origin: headers.origin ?? null,
      cookies: parseCookies(headers.cookie ?? ''),
      bearer: parseBearer(headers.authorization ?? ''),
      knownTag: headers['if-none-match'] ?? '',
      address: message.socket.remoteAddress ?? '',
      form,
      json: isApi ? body : '',
      accept: headers.accept ?? '',
      orderId: headerOf(headers['idempotency-key']),
      lastEvent: headerOf(headers['last-event-id']),
    };
  }

  private send({ status, type, body, headers = {}, sent }: Answer, message: IncomingMessage, response: ServerResponse): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      sent?.();
      return;
    }
    if (sent !== undefined) whenEnded(message.socket, response, sent);
    for (const [name, value] of Object.entries({ ...SECURITY_HEADERS, ...headers })) {
      response.setHeader(name, typeof value === 'string' ? value : [...value]);
    }
    response.setHeader('Keep-Alive', `timeout=${KEEP_ALIVE_TOLD_SECONDS}`);
    // Node would interpret the unread rest of a body as the next request, so the connection is closed.
    if (!message.complete) response.setHeader('Connection', 'close');
    if (status !== 304) {
      response.setHeader('Content-Type', type);
      response.setHeader('Content-Length', Buffer.byteLength(body));
    }
    response.statusCode = status;
    response.end(body);
  }

  private stream(stream: EventStream, message: IncomingMessage, response: ServerResponse): void {
    if (message.method === 'HEAD') {
      this.send(plain(405, 'A stream of events has no HEAD', { Allow: 'GET' }), message, response);
      return;
    }
    const headers = { ...SECURITY_HEADERS, 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' };
    response.writeHead(200, headers);
    const closed = stream.open({
      get backlogBytes() {
        return response.writableLength + (message.socket.writableLength ?? 0);
      },
      write: (text) => void response.write(text),
      end: () => void message.socket.destroy(),
    });
    whenEnded(message.socket, response, closed);
  }
}

/**
 * Calls `ended` once, when the response was sent or its connection is gone. Node says nothing of that to a response that waits behind another
 * one of its connection.
 */
function whenEnded(socket: Socket, response: ServerResponse, ended: () => void): void {
  // The requests of a connection that wait are bounded by the places of their tokens.
  socket.setMaxListeners(0);
  let hasEnded = false;
  const end = (): void => {
    response.off('close', end);
    socket.off('close', end);
    // The end of the socket tells the response, and then goes on with the listeners that it had.
    if (!hasEnded) ended();
    hasEnded = true;
  };
  response.once('close', end);
  socket.once('close', end);
  if (socket.destroyed) end();
}

function headerOf(value: string | string[] | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function tlsOptions(credentials: Credentials): Credentials & { readonly minVersion: 'TLSv1.2' } {
  return { ...credentials, minVersion: 'TLSv1.2' };
}
