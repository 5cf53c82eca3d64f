// Answers the requests of the HTTP interface /api/v1. Invariants: every operation is an entry of the tables (operations.ts); a GET changes
// nothing; a token may call exactly what its role permits, and it comes in the header Authorization, never in a cookie; an order is
// checked, and logged with the name of its token, before a daemon is asked; the requests in progress are bounded, for each token and in all.

import { createHash, randomUUID } from 'node:crypto';
import { ID_PARAM } from '@rsio/api/views/operation-form';
import { checkedParams } from '@rsio/common/control/control-server';
import type { CallOptions } from '@rsio/common/control/control-client';
import type { EventsParams, EventsResult } from '@rsio/common/control/method-table';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { isRecord } from '@rsio/base/lib/shape';
import { programVersion } from '@rsio/base/lib/version';
import type { Log } from '@rsio/base/log/log';
import { LOCAL, permits, roleOfToken } from '../config/rights.ts';
import type { LocalRole } from '@rsio/common/config/schema/local-roles';
import type { WebToken } from '../config/rswebcfg.ts';
import { type Answer, json, JSON_TYPE } from '../http/answer.ts';
import { asProblem, problem } from '../http/problem.ts';
import type { Reply } from '../http/reply.ts';
import type { Request } from '../http/request.ts';
import {
  API_CHANGES_MAX,
  API_CHANGES_PER_TOKEN_MAX,
  API_READS_MAX,
  API_READS_PER_TOKEN_MAX,
  ORDER_ID_MAX_CHARS,
  PAGE_READ_MS,
} from '../limits.ts';
import type { Doors } from '../login/doors.ts';
import { type DaemonCalls, execute, type Target } from './calls.ts';
import { EventStreams } from './event-streams.ts';
import { jobPart } from './jobs.ts';
import { openApi } from './openapi.ts';
import { API_PATH, type Daemon, isFollowed, isPlace, NAMESPACE_PARAM, type Operation, OPERATIONS, type Place } from './operations.ts';
import { Places } from './places.ts';
import { queryValues } from './values.ts';

/** Characters of an order's id that say whose key it is. */
const OWN_ID_CHARS = 32;
const EVENT_STREAM = /(^|,)\s*text\/event-stream\s*(;|,|$)/i;

export interface ApiPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly doors: Pick<Doors, 'refusal' | 'visitor'>;
  readonly calls: DaemonCalls;
  /** True if rsweb takes orders (--manage). */
  readonly isManaging: boolean;
  /** Called when an order has ended, because the picture is out of date then. */
  changed(): void;
}

/** An operation that a visitor of the pages has chosen. `params`: not checked yet. `id`: of the order. */
export interface PageRequest {
  readonly operation: Operation;
  readonly target: Target | null;
  readonly params: Readonly<Record<string, unknown>>;
  readonly id: string;
}

interface Route {
  readonly operation: Operation;
  readonly target: Target | null;
  /** What the path of the operation begins with. */
  readonly base: string;
}

export class Api {
  private readonly ports: ApiPorts;
  private readonly changes = new Places(API_CHANGES_MAX, API_CHANGES_PER_TOKEN_MAX);
  private readonly reads: Readonly<Record<Place, Places>> = { server: reads(), client: reads(), applications: reads(), servers: reads() };
  private readonly streams: EventStreams;
  private document: string | null = null;

  constructor(ports: ApiPorts) {
    this.ports = ports;
    const events = (daemon: Daemon, params: EventsParams, options: CallOptions) => ports.calls[daemon]('events', params, options);
    this.streams = new EventStreams(ports.clock, (...asked) => events(...asked) as Promise<EventsResult>);
  }

  close(): void {
    this.streams.close();
  }

  /**
   * Executes an operation for a visitor of the pages, with the rights and within the bounds of the programs. An order has lines in the log, as one of
   * a program has. Throws E_RIGHTS, E_USAGE, E_LIMIT or the error of the daemon.
   */
  async run({ operation, target, params, id }: PageRequest, token: WebToken): Promise<object> {
    const { clock, calls } = this.ports;
    this.checkRights(operation, token);
    const given = checkedParams(operation.method, operation.params, params);
    const release = (operation.isRead ? this.reads[operation.place] : this.changes).take(token.name);
    if (release === null) throw tooMany('requests');
    try {
      const role = localRoleOf(token);
      if (!operation.isRead)
        return await this.ordered(operation, target, operation.hasId ? { ...given, [ID_PARAM]: ownId(id, token.name) } : given, token);
      // rsiod ends its question to a server first, and says why it has no answer.
      return await execute(calls, operation, target, given, { clock, role, timeoutMs: 2 * PAGE_READ_MS }, PAGE_READ_MS);
    } finally {
      release();
    }
  }

  /** Answers a request. If the request contains a valid token, the method calls `proven` with the name of the token. */
  async handle(request: Request, proven: (token: string) => void): Promise<Reply> {
    const { doors } = this.ports;
    const refusal = doors.refusal(request);
    if (refusal !== null) return asProblem(refusal);
    // A browser sends cookies with requests that pages of other sites cause, and never this header.
    const visitor = request.bearer === null ? null : doors.visitor(request);
    if (visitor === null) return unknownCaller();
    if ('status' in visitor) return asProblem(visitor);
    proven(visitor.token.name);
    try {
      return await this.answer(request, visitor.token);
    } catch (thrown) {
      if (thrown instanceof RsError) return problem(thrown);
      throw thrown;
    }
  }

  private async answer(request: Request, token: WebToken): Promise<Reply> {
    const { method, path } = request;
    if (path === `${API_PATH}/openapi.json`) {
      this.document ??= JSON.stringify(openApi(programVersion()));
      return method === 'GET' ? { status: 200, type: JSON_TYPE, body: this.document } : wrongMethod('GET, HEAD', path);
    }
    const route = routeOf(request);
    if (route === null) return unknownPath(path);
    const { operation } = route;
    if (operation.isRead !== (method === 'GET')) return wrongMethod(operation.isRead ? 'GET, HEAD' : 'POST', path);
    this.checkRights(operation, token);
    return operation.isRead ? this.read(route, request, token) : this.change(route, request, token);
  }

  /** Throws E_RIGHTS if the token may not call the operation, or if rsweb takes no orders. */
  private checkRights({ place, method, role, isRead }: Operation, { name, rights }: WebToken): void {
    if (!permits(rights, role, 'api')) {
      throw new RsError('E_RIGHTS', `Token ${name} may not call ${method} of ${place}: use a token with rights = ${role}`);
    }
    if (!isRead && !this.ports.isManaging) throw new RsError('E_RIGHTS', 'This rsweb takes no orders: start it with rsweb --manage');
  }

  private async read({ operation, target }: Route, request: Request, token: WebToken): Promise<Reply> {
    const params = checkedParams(operation.method, operation.params, queryValues(withoutNamespace(request, operation), operation.params));
    if (isFollowed(operation) && EVENT_STREAM.test(request.accept)) return this.follow(operation, params as EventsParams, request, token);
    return this.placed(this.reads[operation.place], token, async () => {
      // The daemons log the person of an order; a program that reads again and again would fill their logs.
      return json(await execute(this.ports.calls, operation, target, params, { clock: this.ports.clock, role: localRoleOf(token) }));
    });
  }

  /** Returns the events as a stream, which begins after the event that the caller has. */
  private follow({ place }: Operation, { after = null }: EventsParams, request: Request, { name: token }: WebToken): Reply {
    const { streams, ports } = this;
    if (place === 'servers' || !streams.hasPlace(token)) return tooManyAnswer('streams');
    const isWelcome = (): boolean => {
      const visitor = ports.doors.visitor(request);
      return visitor !== null && !('status' in visitor);
    };
    return streams.stream(place, { token, isWelcome }, lastEventOf(request) ?? after);
  }

  private async change({ operation, target, base }: Route, request: Request, token: WebToken): Promise<Reply> {
    const { method, hasId } = operation;
    const [unknown] = withoutNamespace(request, operation).keys();
    if (unknown !== undefined) {
      throw new RsError('E_USAGE', `${method} takes its parameters in the body, as JSON: leave them out of the path`, { unknown });
    }
    const given = checkedParams(method, operation.params, bodyOf(request, method));
    const id = orderId(request, operation, token);
    const params = hasId ? { ...given, [ID_PARAM]: id ?? randomUUID() } : given;
    return this.placed(this.changes, token, async () => {
      const result = await this.ordered(operation, target, params, token);
      const part = jobPart(operation, result);
      const answer = json(result, part === null ? 200 : 202);
      return part === null ? answer : { ...answer, headers: { Location: `${base}/${part}${scopeOf(target)}` } };
    });
  }

  /** Executes an order, and logs it before it starts and after it has ended. */
  private async ordered(operation: Operation, target: Target | null, params: object, token: WebToken): Promise<object> {
    const { log, calls, clock } = this.ports;
    const { name: login } = token;
    const order = operation.method;
    const what = `${order} of ${target === null ? operation.place : `server ${escapeControls(target.server)}`}`;
    log.info(`Token ${login} orders ${what} over HTTP`, { audit: true, login, order });
    try {
      const result = await execute(calls, operation, target, params, { clock, by: `rsweb token ${login}`, role: localRoleOf(token) });
      log.info(`Order ${what} of token ${login} is done`, { audit: true, login, order });
      return result;
    } catch (thrown) {
      log.warn(`Order ${what} of token ${login} has failed: ${toRsError(thrown).message}`, { audit: true, login, order });
      throw thrown;
    } finally {
      this.ports.changed();
    }
  }

  /** Does the work at a place of the token, which it keeps until the answer was sent. */
  private async placed(places: Places, { name }: WebToken, work: () => Promise<Answer>): Promise<Answer> {
    const release = places.take(name);
    if (release === null) return tooManyAnswer('requests');
    try {
      return { ...(await work()), sent: release };
    } catch (thrown) {
      release();
      throw thrown;
    }
  }
}

function localRoleOf({ rights }: WebToken): LocalRole {
  return LOCAL[roleOfToken(rights, 'api')];
}

function reads(): Places {
  return new Places(API_READS_MAX, API_READS_PER_TOKEN_MAX);
}

/** Returns the operation of a path; null if there is none. */
function routeOf({ path, query }: Request): Route | null {
  const [place = '', ...rest] = path.startsWith(`${API_PATH}/`) ? path.slice(API_PATH.length + 1).split('/') : [];
  const [method = '', server, more] = rest.toReversed();
  if (!isPlace(place) || more !== undefined || (place === 'servers') !== (server !== undefined)) return null;
  const operation = OPERATIONS[place].get(method);
  if (operation === undefined) return null;
  const base = `${API_PATH}/${[place, ...(server === undefined ? [] : [encodeURIComponent(server)])].join('/')}`;
  return { operation, target: server === undefined ? null : { server, namespace: query.get(NAMESPACE_PARAM) }, base };
}

/** Returns what a query needs, beside other parameters, to lead to the same server. */
function scopeOf(target: Target | null): string {
  const namespace = target?.namespace ?? null;
  return namespace === null ? '' : `&${NAMESPACE_PARAM}=${encodeURIComponent(namespace)}`;
}

/** Returns the query without the namespace of the server, which is no parameter of the method. */
function withoutNamespace({ query }: Request, { place }: Operation): URLSearchParams {
  return new URLSearchParams([...query].filter(([name]) => place !== 'servers' || name !== NAMESPACE_PARAM));
}

/** Returns the parameters in the body. An empty body has none. */
function bodyOf({ json: text }: Request, method: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new RsError('E_USAGE', `The body is not JSON: give the parameters of ${method} as {"name": value, ...}`);
  }
  if (isRecord(body)) return body;
  throw new RsError('E_USAGE', `The body is not an object: give the parameters of ${method} as {"name": value, ...}`);
}

/**
 * Returns the id of the order that the header Idempotency-Key gives; null if there is none. Keys of several tokens never meet. Throws E_USAGE if the promise of the
 * header could not be kept.
 */
function orderId({ orderId: id }: Request, { method, hasId }: Operation, { name }: WebToken): string | null {
  if (id === null) return null;
  if (!hasId) throw new RsError('E_USAGE', `${method} has no id, and would be executed again: leave out the header Idempotency-Key`);
  if (id.length <= ORDER_ID_MAX_CHARS && /^[!-~]+$/.test(id)) return ownId(id, name);
  throw new RsError('E_USAGE', `Wrong Idempotency-Key: allowed are 1 to ${ORDER_ID_MAX_CHARS} printable ASCII characters without spaces`);
}

/** Returns the number in the header Last-Event-ID; null if there is none. Throws E_USAGE if it is no number. */
function lastEventOf({ lastEvent }: Request): number | null {
  if (lastEvent === null || lastEvent === '') return null;
  if (/^\d{1,15}$/.test(lastEvent)) return Number(lastEvent);
  throw new RsError('E_USAGE', 'Wrong Last-Event-ID: give the number of an event');
}

/** Returns an id that no other token can give. */
function ownId(id: string, token: string): string {
  const own = createHash('sha256').update(`${token} ${id}`).digest('hex').slice(0, OWN_ID_CHARS);
  return `${id.slice(0, ORDER_ID_MAX_CHARS - OWN_ID_CHARS - 1)}-${own}`;
}

function tooMany(what: string): RsError {
  return new RsError('E_LIMIT', `Too many ${what} of this token or of all tokens are open: try again when one has ended`);
}

function tooManyAnswer(what: string): Answer {
  return problem(tooMany(what), undefined, { 'Retry-After': '1' });
}

function unknownCaller(): Answer {
  const error = new RsError('E_AUTH', 'No token: send one as Authorization: Bearer; cookies do not count here');
  return problem(error, 401, { 'WWW-Authenticate': 'Bearer' });
}

function unknownPath(path: string): Answer {
  return problem(new RsError('E_USAGE', `No operation ${path}: ${API_PATH}/openapi.json lists them`), 404);
}

function wrongMethod(allow: string, path: string): Answer {
  return problem(new RsError('E_USAGE', `Wrong method for ${path}: use ${allow}`), 405, { Allow: allow });
}
