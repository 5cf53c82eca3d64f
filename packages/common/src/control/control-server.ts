// Serves a daemon's control socket. The server receives one JSON request per line, calls the daemon's handlers, and sends each answer when
// the answer is complete. Requests cannot pile up: while the maximum number of requests is in progress, the server stops reading from the
// connection. Invariants: every complete request is answered exactly once unless its connection closes first. Handlers receive only
// parameters of the declared shape.

import { createServer, type Server, type Socket } from 'node:net';
import { listenOnSocket } from '@rsio/base/daemon/unix-socket';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import {
  BY_MAX_CHARS,
  METHOD_MAX_CHARS,
  CONTROL_ANSWER_MAX_BYTES,
  CONTROL_CONNECTIONS_MAX,
  CONTROL_LINE_MAX_BYTES,
  CONTROL_REQUESTS_OUT_MAX,
  CONTROL_UNREAD_MAX_BYTES,
} from './limits.ts';
import { LineSplitter } from './line-splitter.ts';
import { CONTROL_VERSION, type MethodsOf, type MethodTable, type Param } from './method-table.ts';
import { misfit } from '@rsio/base/lib/shape';

/** Who sends a request. */
export interface Caller {
  /** The user of the program that has connected, as the kernel says; null if unknown. */
  readonly user: string | null;
  /** The person or program on whose behalf the caller asks, as the caller says; null if it asks for itself. */
  readonly by: string | null;
  /** The role with which the caller asks, as it says: it can give up rights, and get none. Null: its own. */
  readonly role: string | null;
}

/**
 * The functions that execute the methods of a table. `gone`: aborted when the connection of the request is closed; undefined if the request
 * came over no connection of its own, as then `caller`.
 */
export type HandlersOf<T extends MethodTable> = {
  readonly [M in keyof MethodsOf<T>]: (
    params: MethodsOf<T>[M]['params'],
    gone?: AbortSignal,
    caller?: Caller,
  ) => Promise<MethodsOf<T>[M]['result']> | MethodsOf<T>[M]['result'];
};

export interface Service {
  readonly table: MethodTable;
  readonly handlers: Readonly<Record<string, Handler | undefined>>;
}

type Handler = (params: never, gone?: AbortSignal, caller?: Caller) => unknown;

export interface ControlServer {
  /** Closes all connections, but continues to accept new connections. */
  disconnect(): void;
  /** Stops accepting requests, closes the connections and removes the socket. */
  close(): Promise<void>;
}

/** Limits for the callers of one socket. */
export interface ControlBounds {
  readonly connections: number;
  /** Maximum number of requests in progress on one connection. */
  readonly requestsOut: number;
  /** Maximum length of a request. */
  readonly lineBytes: number;
  /**
   * Maximum number of bytes of unread answers on all connections together. If the number is exceeded, the server closes the connection with
   * the most unread bytes.
   */
  readonly unreadBytes: number;
  /** True if only administrators can connect; the audit trail then records the field `by` of each request. */
  readonly isTrusted: boolean;
  /** Returns the name of the user that has connected; absent if the daemon does not ask. */
  readonly userOf?: (socket: Socket) => string | null;
}

export const CONTROL_BOUNDS: ControlBounds = {
  connections: CONTROL_CONNECTIONS_MAX,
  requestsOut: CONTROL_REQUESTS_OUT_MAX,
  lineBytes: CONTROL_LINE_MAX_BYTES,
  unreadBytes: CONTROL_UNREAD_MAX_BYTES,
  isTrusted: true,
};

/** Bytes in UTF-8 of a unit of a JavaScript text. */
const CHARACTER_MAX_BYTES = 3;

type RequestId = string | number | null;

/**
 * Listens on the Unix socket `path`. A daemon need not have a handler for every method. Throws E_SOCKET_PATH, E_RIGHTS, E_SYSTEM, or
 * E_ALREADY_RUNNING if another daemon is already listening on the socket.
 */
export async function startControlServer<T extends MethodTable>(
  path: string,
  table: T,
  handlers: Partial<HandlersOf<T>>,
  log: Log,
  bounds: ControlBounds = CONTROL_BOUNDS,
): Promise<ControlServer> {
  const service: Service = { table, handlers };
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (connections.size >= bounds.connections) {
      refuse(socket, bounds);
      return;
    }
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    new ControlConnection(socket, service, bounds, log, () => closeUnread(connections, bounds)).start();
  });
  await listenOnSocket(server, path);
  server.on('error', (error) => log.error(`Control socket ${path} failed: ${error.message}`));
  const disconnect = (): void => {
    for (const socket of connections) socket.destroy();
  };
  return { disconnect, close: () => closeServer(server, disconnect) };
}

function refuse(socket: Socket, { connections }: ControlBounds): void {
  const error = new RsError('E_LIMIT', `More than ${connections} control connections are open: close one`);
  socket.on('error', () => {});
  socket.resume();
  socket.end(answerLine(null, { error: errorAnswer(error) }));
}

/** Closes the connections with the most unread answers, because a caller that never reads would occupy memory without end. */
function closeUnread(connections: ReadonlySet<Socket>, { unreadBytes }: ControlBounds): void {
  const unread = [...connections].filter(({ destroyed }) => !destroyed).toSorted((a, b) => b.writableLength - a.writableLength);
  let bytes = unread.reduce((sum, { writableLength }) => sum + writableLength, 0);
  for (const socket of unread) {
    if (bytes <= unreadBytes) return;
    bytes -= socket.writableLength;
    socket.destroy();
  }
}

function closeServer(server: Server, disconnect: () => void): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    disconnect();
  });
}

class ControlConnection {
  private readonly socket: Socket;
  private readonly service: Service;
  private readonly bounds: ControlBounds;
  private readonly log: Log;
  private readonly wrote: () => void;
  private readonly splitter: LineSplitter;
  private readonly gone = new AbortController();
  /** Received requests that wait because the maximum number of requests is in progress. */
  private readonly waiting: string[] = [];
  private readonly user: string | null;
  private unanswered = 0;
  private hasEnded = false;

  /** `wrote`: called when an answer was written to the socket, even if the caller does not read it. */
  constructor(socket: Socket, service: Service, bounds: ControlBounds, log: Log, wrote: () => void) {
    this.socket = socket;
    this.service = service;
    this.bounds = bounds;
    this.log = log;
    this.wrote = wrote;
    this.user = bounds.userOf?.(socket) ?? null;
    this.splitter = new LineSplitter(bounds.lineBytes);
  }

  start(): void {
    this.socket.on('error', (error) => this.log.debug(`Control connection failed: ${error.message}`));
    this.socket.on('data', (chunk) => this.receive(chunk));
    this.socket.on('close', () => this.gone.abort());
    this.socket.on('end', () => {
      const rest = this.splitter.takeRest();
      if (rest !== '') this.waiting.push(rest);
      this.hasEnded = true;
      this.pump();
    });
  }

  private receive(chunk: Buffer): void {
    const whole = this.splitter.push(chunk, (line) => this.waiting.push(line));
    this.pump();
    if (!whole) this.loseStream();
  }

  private pump(): void {
    while (this.unanswered < this.bounds.requestsOut) {
      const line = this.waiting.shift();
      if (line === undefined) break;
      if (line.trim() !== '') this.take(line);
    }
    if (this.waiting.length > 0) this.socket.pause();
    else this.socket.resume();
    if (this.hasEnded && this.unanswered === 0 && this.waiting.length === 0) this.socket.end();
  }

  private take(line: string): void {
    this.unanswered++;
    void handleLine(this.service, line, this.log, this.bounds, { gone: this.gone.signal, user: this.user }).then((answer) => {
      if (!this.socket.writable) return;
      this.socket.write(answer, () => this.answered());
      this.wrote();
    });
  }

  private answered(): void {
    this.unanswered--;
    this.pump();
  }

  private loseStream(): void {
    const error = new RsError('E_USAGE', `Request line is longer than ${this.bounds.lineBytes} bytes: send fewer names at once`);
    this.waiting.length = 0;
    this.socket.removeAllListeners('data');
    this.socket.resume();
    this.socket.end(answerLine(null, { error: errorAnswer(error) }));
  }
}

/** Executes the request in `line` and returns the answer line. Never rejects. */
async function handleLine(
  service: Service,
  line: string,
  log: Log,
  { isTrusted }: ControlBounds,
  { gone, user }: { readonly gone: AbortSignal; readonly user: string | null },
): Promise<string> {
  let id: RequestId = null;
  try {
    const request = parseRequest(line);
    id = request.id;
    checkVersion(request);
    const execute = checkedCall(service, request.method, request.params, gone, {
      user,
      by: isTrusted ? request.by : null,
      role: request.role,
    });
    // A program such as rsweb sends requests for people whom this daemon does not know.
    if (request.by !== null && isTrusted) log.info(`${request.by} asks for ${request.method}`, { audit: true, by: request.by });
    const answer = answerLine(id, { result: await execute() });
    if (answer.length * CHARACTER_MAX_BYTES <= CONTROL_ANSWER_MAX_BYTES) return answer;
    const bytes = Buffer.byteLength(answer);
    if (bytes <= CONTROL_ANSWER_MAX_BYTES) return answer;
    throw new RsError('E_LIMIT', `Answer to ${request.method} has ${bytes} bytes, more than ${CONTROL_ANSWER_MAX_BYTES}: ask for less`);
  } catch (thrown) {
    const error = toRsError(thrown);
    if (error.kind === 'internal') log.error(`Control request failed: ${error.message}`, { error: thrown });
    return answerLine(id, { error: errorAnswer(error) });
  }
}

interface Request {
  readonly id: RequestId;
  readonly method: string;
  /** Version of the client's control interface. A request without a version is accepted. */
  readonly version: unknown;
  readonly params: unknown;
  /** Person or program on whose behalf the caller asks; null if the caller asks for itself. */
  readonly by: string | null;
  readonly role: string | null;
}

function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RsError('E_USAGE', 'Request is not JSON: send {"id": 1, "method": "status"} and a line end');
  }
  const {
    id = null,
    method,
    version,
    params,
    by,
    role = null,
  } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof method !== 'string' || !(id === null || typeof id === 'string' || typeof id === 'number')) {
    throw new RsError('E_USAGE', 'Request lacks a method, or its id is not a number or text: send {"id": 1, "method": "status"}');
  }
  if (role !== null && (typeof role !== 'string' || role.length > METHOD_MAX_CHARS))
    throw new RsError('E_USAGE', 'The role of the request is no name of a role: leave it out');
  const person = typeof by === 'string' ? escapeControls(by.slice(0, BY_MAX_CHARS)) : null;
  return { id, method, version, params, by: person, role };
}

/**
 * Refuses a request whose version differs from the daemon's, because client or daemon could misinterpret messages. Requests for the method
 * `daemon` may have any version.
 */
function checkVersion({ method, version }: Request): void {
  if (version === undefined || version === CONTROL_VERSION || method === 'daemon') return;
  const asked = typeof version === 'number' ? String(version) : 'that is not a number';
  const remedy = 'use one release for the daemon and the program that asks, or omit the version';
  throw new RsError(
    'E_VERSION',
    `Request asks for version ${asked} of the control interface, this daemon (release ${programVersion()}) uses ${CONTROL_VERSION}: ${remedy}`,
    { version: CONTROL_VERSION },
  );
}

/** Returns a function that executes the request. Throws E_USAGE for an unknown method or wrong parameters. */
function checkedCall({ table, handlers }: Service, method: string, params: unknown, gone: AbortSignal, caller: Caller): () => unknown {
  const entry = Object.hasOwn(table, method) ? table[method] : undefined;
  const handler = entry !== undefined && Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (entry === undefined || handler === undefined) {
    const known = Object.keys(handlers).join(', ');
    const asked = method.slice(0, METHOD_MAX_CHARS);
    throw new RsError('E_USAGE', `Unknown method ${asked}: known are ${known}`, { unknown: asked });
  }
  // The method is known only at run time, so checkedParams, and not TypeScript, checks that the parameters match the handler.
  const checked = checkedParams(method, entry.params, params);
  return () => handler(checked as never, gone, caller);
}

function errorAnswer(error: RsError): { code: string; message: string; context: unknown } {
  return { code: error.code, message: error.message, context: error.context };
}

function answerLine(id: RequestId, answer: { result: unknown } | { error: ReturnType<typeof errorAnswer> }): string {
  return `${JSON.stringify({ id, version: CONTROL_VERSION, release: programVersion(), ...answer })}\n`;
}

/**
 * Returns the parameters of one request, with defaults filled in. Throws E_USAGE with a message that names the method, the parameter and
 * the allowed values.
 */
export function checkedParams(method: string, params: Readonly<Record<string, Param>>, given: unknown): Readonly<Record<string, unknown>> {
  const values = given === undefined ? {} : given;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new RsError('E_USAGE', `Parameters of ${method} are not an object: give {"name": value, ...}`, { method });
  }
  const unknown = Object.keys(values)
    .find((key) => !Object.hasOwn(params, key))
    ?.slice(0, METHOD_MAX_CHARS);
  if (unknown !== undefined) {
    const known = Object.keys(params).join(', ') || 'none';
    throw new RsError('E_USAGE', `Unknown parameter ${unknown} of ${method}: known are ${known}`, { method, unknown });
  }
  const checked = Object.entries(params).map(([key, param]) => [
    key,
    paramValue(method, key, param, (values as Record<string, unknown>)[key]),
  ]);
  return Object.fromEntries(checked);
}

function paramValue(method: string, key: string, param: Param, value: unknown): unknown {
  if (value === undefined && param.default !== undefined) return param.default;
  if (misfit(param.shape, value, 'exactly') !== null)
    throw new RsError('E_USAGE', `Parameter ${key} of ${method} is wrong: give ${param.what}`, { method, parameter: key });
  return value;
}
