// Routes each request to a page, an order or a file. The files in pages/ make the pages, doors.ts decides who may see them, and
// orders/desk.ts takes orders. Invariants: a page shows the last picture, so it never waits for a server or a client, except /impact and
// the answers of /operations, which come within a bounded time; a GET changes nothing.

import { hostname } from 'node:os';
import type { Api } from './api/api.ts';
import type { Clock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import { type Answer, json, ownPath, page, plain, redirect } from './http/answer.ts';
import { Assets } from './http/assets.ts';
import type { Reply } from './http/reply.ts';
import { isApiPath, type Request } from './http/request.ts';
import type { Live } from './live/live.ts';
import type { Html } from './markup/html.ts';
import type { View } from './markup/view.ts';
import type { History, HistoryName } from './model/history.ts';
import type { HistoryRings } from './model/history-rings.ts';
import { PICTURE_FORMAT } from './model/picture-shape.ts';
import { permits } from './config/rights.ts';
import { isPlace, type Operation, OPERATIONS } from './api/operations.ts';
import type { Desk } from './orders/desk.ts';
import { filledIn, OperationDesk } from './orders/operation-desk.ts';
import { clientPage } from './pages/client.ts';
import { confirmPage } from './pages/confirm.ts';
import { errorPage, type ErrorView } from './pages/error.ts';
import { eventsPage } from './pages/events.ts';
import { impactPage } from './pages/impact.ts';
import { loginPage } from './pages/login.ts';
import { mirrorPage } from './pages/mirror.ts';
import { operationPage, operationsPage, orderedPage } from './pages/operations.ts';
import { overviewPage } from './pages/overview.ts';
import { poolPage } from './pages/pool.ts';
import { serverPage } from './pages/server.ts';
import { volumePage } from './pages/volume.ts';
import { choiceIn, isEmptyChoice } from './impact/choice.ts';
import type { Hub } from './sources/hub.ts';
import type { ServerFacts } from './impact/server-facts.ts';
import type { Doors, Visitor } from './login/doors.ts';

const OBJECT_PAGES = {
  volume: volumePage,
  client: clientPage,
  server: serverPage,
  pool: poolPage,
  mirror: mirrorPage,
} as const;

export class App {
  private readonly clock: Clock;
  private readonly doors: Doors;
  private readonly hub: Hub;
  private readonly history: HistoryRings;
  private readonly live: Live;
  private readonly desk: Desk | null;
  private readonly api: Api;
  private readonly facts: ServerFacts;
  private readonly assets = new Assets();
  private readonly operations: OperationDesk;

  /** `desk`: the desk that takes orders; null if rsweb was started without --manage. */
  constructor(clock: Clock, doors: Doors, hub: Hub, history: HistoryRings, live: Live, desk: Desk | null, api: Api, facts: ServerFacts) {
    this.clock = clock;
    this.doors = doors;
    this.hub = hub;
    this.history = history;
    this.live = live;
    this.desk = desk;
    this.api = api;
    this.facts = facts;
    this.operations = new OperationDesk(api, clock);
  }

  /** Answers a request. If the request contains a valid token, the method calls `proven` with the name of the token. */
  handle(request: Request, proven: (token: string) => void): Reply | Promise<Reply> {
    const { doors, assets, hub } = this;
    const { method, path } = request;
    if (isApiPath(path)) return this.api.handle(request, proven);
    const refusal = doors.refusal(request);
    if (refusal !== null) return refusal;
    if (path.startsWith('/assets/')) return method === 'GET' ? assets.answer(path.slice('/assets/'.length), request.knownTag) : notThere();
    if (path === '/login') return this.login(request);
    const visitor = doors.visitor(request);
    if (visitor === null) return loginFirst(request);
    if ('status' in visitor) return visitor;
    proven(visitor.token.name);
    hub.look();
    return method === 'POST' ? this.change(request, visitor) : this.show(request, visitor);
  }

  private login(request: Request): Answer {
    const next = ownPath((request.method === 'POST' ? request.form : request.query).get('next') ?? '/');
    const outcome = request.method === 'POST' ? this.doors.login(request, next) : null;
    if (outcome !== null && typeof outcome !== 'string') return outcome;
    const login = loginPage({ csrf: null, next, trouble: outcome, host: hostname() });
    return page(login.text, outcome === null ? 200 : 401);
  }

  private show(request: Request, visitor: Visitor): Reply | Promise<Reply> {
    const { hub, history } = this;
    const { path, query } = request;
    if (path === '/') return page(overviewPage(hub.picture, this.view(request, visitor)).text);
    if (path === '/events') return page(eventsPage(hub.picture, this.view(request, visitor)).text);
    if (path === '/impact') return this.impact(request, visitor);
    if (path === '/operations') return page(operationsPage(hub.picture, this.view(request, visitor)).text);
    if (path.startsWith('/operations/')) return this.operation(request, visitor);
    if (path === '/live') return this.stream(request, visitor);
    // Other machines get only the picture of this machine's daemons. If they also got the data of other sources, two rswebs that are
    // sources of each other would repeat each other's data forever.
    if (path === '/picture.json') return json({ format: PICTURE_FORMAT, release: programVersion(), ...hub.ownPicture() });
    if (path === '/history.json') {
      const of = (query.get('of') ?? 'all') as HistoryName;
      return json({ of, rings: history.ringsOf(of) } satisfies History);
    }
    const found = this.objectPage(request, visitor);
    return found === null ? notThere() : page(found.text);
  }

  /** The servers are asked only if the visitor has chosen something. Every token may call the methods that are asked. */
  private async impact(request: Request, visitor: Visitor): Promise<Answer> {
    const { hub, facts } = this;
    const told = isEmptyChoice(choiceIn(hub.picture, request.query)) ? null : await facts.tell();
    return page(impactPage(hub.picture, this.view(request, visitor), told).text);
  }

  /** Returns the page of an object, such as /volume/ID; null if there is no such page. */
  private objectPage(request: Request, visitor: Visitor): Html | null {
    const [, kind = '', id = '', rest] = request.path.split('/');
    if (rest !== undefined || !Object.hasOwn(OBJECT_PAGES, kind)) return null;
    const makePage = OBJECT_PAGES[kind as keyof typeof OBJECT_PAGES];
    return makePage(this.hub.picture, this.view(request, visitor), id);
  }

  private stream(request: Request, { token }: Visitor): Reply {
    const { live, doors } = this;
    const isWelcome = (): boolean => {
      const visitor = doors.visitor(request);
      return visitor !== null && !('status' in visitor);
    };
    return live.stream({ token: token.name, isWelcome }) ?? plain(503, 'Too many pages are open: close some', { 'Retry-After': '10' });
  }

  private change(request: Request, visitor: Visitor): Reply | Promise<Reply> {
    const doubt = this.doors.doubt(request, visitor);
    if (doubt !== null) return doubt;
    if (request.path === '/logout') return this.doors.logout(request);
    if (request.path.startsWith('/operations/')) return this.operationOrder(request, visitor);
    const [, orders, name = '', rest] = request.path.split('/');
    return orders === 'orders' && rest === undefined ? this.order(name, request, visitor) : notThere();
  }

  /** Shows the form of an operation. One that changes nothing is executed as soon as everything that it needs is filled in. */
  private async operation(request: Request, visitor: Visitor): Promise<Answer> {
    const view = this.view(request, visitor);
    const operation = operationAt(request.path);
    if (operation === null) return notThere();
    if (!view.mayCall(operation.role)) return beyond();
    const filled = filledIn(operation, request.query);
    const isComplete = operation.place !== 'servers' && filled.fields.every(({ isRequired }) => !isRequired);
    const isAsked = operation.isRead && (request.query.has('go') || isComplete);
    const answered = isAsked ? await this.operations.read(filled, visitor.token) : null;
    return page(operationPage(filled, answered, this.hub.picture, view).text, answered === null || answered.trouble === null ? 200 : 422);
  }

  /** Takes the form of an order: asks first, and executes what was confirmed. */
  private async operationOrder(request: Request, visitor: Visitor): Promise<Reply> {
    const { operations, hub } = this;
    const { form } = request;
    const view = this.view(request, visitor);
    const operation = operationAt(request.path);
    if (visitor.csrf === null) return plain(403, 'Programs give orders at /api/v1: see docs/HTTP.md');
    if (operation === null || operation.isRead) return notThere();
    if (!view.mayCall(operation.role)) return view.mayManage ? beyond() : forbidden(this.desk !== null);
    const filled = filledIn(operation, form);
    const [id, confirm] = [form.get('id') ?? '', form.get('confirm') ?? ''];
    const answered = await operations.order(filled, id, confirm, visitor.token);
    if (answered !== null) {
      const again = Object.fromEntries([...form].filter(([name]) => name !== 'csrf'));
      return page(orderedPage(filled, answered, again, hub.picture, view).text, answered.trouble === null ? 200 : 422);
    }
    const question = operations.question(filled, visitor.token);
    if ('title' in question) return page(confirmPage(question, hub.picture, view).text);
    return page(operationPage(filled, question, hub.picture, view).text, 422);
  }

  private async order(name: string, request: Request, visitor: Visitor): Promise<Reply> {
    const { desk, hub } = this;
    const { token, csrf } = visitor;
    if (desk === null || !permits(token.rights, 'operate', 'pages')) return forbidden(desk !== null);
    if (desk.permits(name, token.rights) === false) return beyond();
    const outcome = await desk.take(name, request.form, token);
    if (outcome.kind === 'unknown') return notThere();
    // A program gets the outcome as text; a browser is sent to the page of the object.
    if (csrf === null) {
      return outcome.kind === 'confirm'
        ? plain(409, `Not done: repeat the order with confirm=${outcome.confirmation.object}`)
        : plain(outcome.isDone ? 200 : 422, outcome.text);
    }
    if (outcome.kind === 'confirm') return page(confirmPage(outcome.confirmation, hub.picture, this.view(request, visitor)).text);
    return redirect(outcome.href, {}, `notice=${outcome.notice}`);
  }

  private view({ path, query }: Request, { token, csrf }: Visitor): View {
    const { clock, desk, history } = this;
    return {
      nowMs: clock.wallMs(),
      path,
      token: token.name,
      mayManage: desk !== null && permits(token.rights, 'operate', 'pages'),
      mayOrder: (order) => desk?.permits(order, token.rights) === true,
      // As for programs: a token of release 0.2.0 operates, and does not administer.
      mayCall: (role) => (role === 'view' || desk !== null) && permits(token.rights, role, 'api'),
      csrf: csrf ?? '',
      notice: desk?.notice(query.get('notice')) ?? null,
      history,
      query,
    };
  }
}

/**
 * Answers a request without a login. A browser is sent to the login page, which leads back to the requested page after the login. A program
 * gets an error.
 */
function loginFirst({ method, path }: Request): Answer {
  if (method === 'POST' || path.endsWith('.json') || path === '/live') {
    return plain(401, 'Log in first, or send a token as Authorization: Bearer');
  }
  return redirect(path === '/' ? '/login' : `/login?next=${encodeURIComponent(encodeURI(path))}`);
}

/** Returns the operation of a path such as /operations/server/audit; null if there is none. */
function operationAt(path: string): Operation | null {
  const [, , place = '', method = '', rest] = path.split('/');
  return isPlace(place) && rest === undefined ? (OPERATIONS[place].get(method) ?? null) : null;
}

function notThere(): Answer {
  return problem({ status: 404, title: 'No such page', what: 'There is no such page or object.', remedy: 'It may have been removed.' });
}

function forbidden(isManaging: boolean): Answer {
  const what = isManaging ? 'This token may look, and give no orders.' : 'This rsweb takes no orders.';
  const remedy = isManaging ? 'Log in with a token that has rights = operate or admin.' : 'Start it with --manage.';
  return problem({ status: 403, title: 'No orders', what, remedy });
}

function beyond(): Answer {
  return problem({
    status: 403,
    title: 'Not permitted',
    what: 'This token may not give this order.',
    remedy: 'Log in with a token that has rights = admin.',
  });
}

function problem(error: ErrorView): Answer {
  return page(errorPage(error).text, error.status);
}
