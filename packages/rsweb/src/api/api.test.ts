// Tests the HTTP interface over real sockets, with fake daemons: each role may call exactly what the tables say, and requests that are wrong,
// hostile, too many or sent by a browser for a page of another site reach no daemon. Rules: G54.

import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CallOptions } from '@rsio/common/control/control-client';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { type Log, quietLog } from '@rsio/base/log/log';
import { RIGHTS, type WebRight } from '../config/rights.ts';
import type { Request } from '../http/request.ts';
import { WebServer } from '../http/web-server.ts';
import {
  API_BODY_MAX_BYTES,
  API_CHANGES_PER_TOKEN_MAX,
  API_READS_PER_TOKEN_MAX,
  ORDER_ID_MAX_CHARS,
  WEB_URL_MAX_CHARS,
} from '../limits.ts';
import { Doors } from '../login/doors.ts';
import { hashOf, newToken } from '../login/tokens.ts';
import { neededOf, sampleOf } from '../testing/sample-values.ts';
import { Api } from './api.ts';
import type { DaemonCall } from './calls.ts';
import { type Daemon, type Operation, OPERATIONS } from './operations.ts';

interface Asked {
  readonly daemon: Daemon;
  readonly method: string;
  readonly params: object;
  readonly by: string | undefined;
  readonly role: string | undefined;
}

const tokens = Object.fromEntries(RIGHTS.map((rights) => [rights, newToken()])) as Record<WebRight, string>;
const settings = {
  isTls: false,
  names: [],
  tokens: RIGHTS.map((rights) => ({ name: rights, sha256: hashOf(tokens[rights]), rights })),
  idleMs: 60_000,
};
const all = Object.values(OPERATIONS).flatMap((operations) => [...operations.values()]);

/** A busy machine may be slow. */
const PATIENT = { timeout: 60_000 };
let asked: Asked[] = [];
let lines: string[] = [];
/** What the daemons answer; null: a sample of the shape of the result. */
let answer: ((asked: Asked) => Promise<object>) | null = null;

const call = (daemon: Daemon): DaemonCall => {
  return (method: string, params: object, { by, role }: CallOptions): Promise<object> => {
    const one = { daemon, method, params, by, role };
    asked.push(one);
    if (answer !== null) return answer(one);
    if (method !== 'server-call') return Promise.resolve(resultOf(daemon, method));
    const inner = (params as { readonly method: string }).method;
    return Promise.resolve({ namespace: 'osl', server: 'big-9', result: resultOf('server', inner) });
  };
};

function resultOf(daemon: Daemon, method: string): object {
  return sampleOf(OPERATIONS[daemon].get(method)!.entry.result) as object;
}

/** Starts an rsweb. Returns its port, and a function that ends it. */
async function started(
  isManaging: boolean,
): Promise<{ readonly port: number; readonly close: () => Promise<void>; readonly api: Api; readonly doors: Doors }> {
  const note = (line: string): void => void lines.push(line);
  const log: Log = { ...quietLog, info: note, warn: note };
  const doors = new Doors(settings, systemClock, quietLog);
  const calls = { server: call('server'), client: call('client'), applications: call('applications') };
  const api = new Api({ clock: systemClock, log, doors, calls, isManaging, changed: () => {} });
  const server = new WebServer(null, (request, proven) => api.handle(request, proven), systemClock, quietLog);
  await server.listen({ address: '127.0.0.1', port: 0 });
  return { port: server.port, close: () => server.close(), api, doors };
}

let rsweb: Awaited<ReturnType<typeof started>>;
beforeAll(async () => void (rsweb = await started(true)));
afterAll(() => rsweb.close());
beforeEach(() => {
  asked = [];
  lines = [];
});
afterEach(() => {
  answer = null;
});

function send(path: string, init: RequestInit & { rights?: WebRight | null; port?: number } = {}): Promise<Response> {
  const { rights = 'admin', port = rsweb.port, headers, ...rest } = init;
  const token: Record<string, string> = rights === null ? {} : { Authorization: `Bearer ${tokens[rights]}` };
  return fetch(`http://127.0.0.1:${port}${path}`, { ...rest, headers: { ...token, ...(headers as Record<string, string>) } });
}

function order(path: string, body: unknown = {}, init: Parameters<typeof send>[1] = {}): Promise<Response> {
  const headers = { 'Content-Type': 'application/json', ...(init.headers as Record<string, string>) };
  return send(path, { method: 'POST', body: JSON.stringify(body), ...init, headers });
}

function pathOf({ place, method }: Operation): string {
  return `/api/v1/${place}${place === 'servers' ? '/big-9' : ''}/${method}`;
}

/** Calls an operation with what it needs. */
function called(operation: Operation, init: Parameters<typeof send>[1]): Promise<Response> {
  const needed = neededOf(operation.params);
  if (!operation.isRead) return order(pathOf(operation), needed, init);
  const query = Object.entries(needed).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => [name, String(one)]),
  );
  return send(`${pathOf(operation)}?${new URLSearchParams(query as [string, string][]).toString()}`, init);
}

async function problemOf(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Record<string, unknown>;
  expect(problem).toMatchObject({ status: response.status, type: `urn:rsio:error:${String(problem['code'])}` });
  return problem;
}

/** What the table says, told in other words than in the product. */
function mayCall(rights: WebRight, { entry }: Operation): boolean {
  const isRead = 'effect' in entry ? entry.effect === 'reads' : entry.repeats === null;
  const isForAdmins = 'effect' in entry ? entry.effect === 'administers' : entry.right === null || entry.right === 'admin';
  if (isRead || rights === 'admin') return true;
  return rights !== 'view' && !isForAdmins;
}

describe('rights', () => {
  test.each(RIGHTS)('a token with rights = %s may call exactly what the tables say', async (rights) => {
    let refused = 0;
    for (const operation of all) {
      asked = [];
      const response = await called(operation, { rights });
      await response.arrayBuffer();
      const isAllowed = mayCall(rights, operation);
      const place = `${operation.place} ${operation.method}`;
      expect([response.status, asked.length], place).toEqual(isAllowed ? [response.status === 202 ? 202 : 200, 1] : [403, 0]);
      if (!isAllowed) refused++;
    }
    expect(refused === 0).toBe(rights === 'admin');
  });

  test('without --manage, only what reads can be called', async () => {
    const looking = await started(false);
    for (const operation of all) {
      const { status } = await called(operation, { port: looking.port });
      expect([operation.method, status]).toEqual([operation.method, operation.isRead ? 200 : 403]);
    }
    expect(asked).toHaveLength(all.filter(({ isRead }) => isRead).length);
    await looking.close();
  });

  test('orders that only admins give, and what is no operation, are these', () => {
    const ofAdmins = (place: Daemon): string[] =>
      [...OPERATIONS[place].values()].flatMap(({ role, method }) => (role === 'admin' ? [method] : []));
    expect(ofAdmins('server').toSorted()).toMatchInlineSnapshot(`
      [
        "client-fence",
        "client-kick",
        "client-release",
        "client-rename",
        "client-unfence",
        "config-check",
        "farm-make",
        "namespace-apply",
        "pool-check",
        "pool-grow",
        "pool-make",
        "pool-move",
        "pool-release",
        "reload",
        "volume-export",
        "volume-import",
        "volume-pause",
        "volume-resume",
        "volume-start",
        "volume-stop",
        "witness-remove",
      ]
    `);
    expect([ofAdmins('client'), ofAdmins('applications')]).toEqual([['reload', 'restart', 'stop', 'mirror-force'], ['reload']]);
    const missing = ['server-call', 'order-attach', 'snapshot-begin', 'volume-note-set'];
    expect(missing.filter((method) => OPERATIONS.client.has(method))).toEqual([]);
    expect(['replication-poll', 'replica-snapshot', 'message-take'].filter((method) => OPERATIONS.server.has(method))).toEqual([]);
    // Only programs on a server itself may call these, so that no server takes them from a client.
    expect(['volume-import', 'config-check', 'stats'].map((method) => OPERATIONS.servers.has(method))).toEqual([false, false, false]);
  });
});

describe('a request', () => {
  test('needs a token in the header: a login cookie, and what a page of another site sends, do not count', async () => {
    const path = '/api/v1/server/volume-list';
    const browser = {
      host: `127.0.0.1:${rsweb.port}`,
      address: '127.0.0.1',
      cookies: new Map(),
      form: new URLSearchParams({ token: tokens.admin }),
    };
    const login = rsweb.doors.login(browser as unknown as Request, '/');
    const id = typeof login === 'string' ? '' : (String(login.headers?.['Set-Cookie']).split(';')[0] ?? '');
    expect(id).toMatch(/^rsweb-\d+=[\w-]{43}$/);
    const cookie = await send(path, { rights: null, headers: { Cookie: id } });
    expect([cookie.status, cookie.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(await problemOf(cookie)).toMatchObject({ code: 'E_AUTH' });
    expect((await send(path, { rights: null, headers: { Authorization: 'Bearer wrong' } })).status).toBe(401);
    expect((await send(path, { rights: null, headers: { Authorization: `Basic ${tokens.admin}` } })).status).toBe(401);
    expect((await send(path, { headers: { Origin: 'http://evil.example' } })).status).toBe(403);
    expect((await send(path, { headers: { Origin: `http://127.0.0.1:${rsweb.port}` } })).status).toBe(200);
    const preflight = await send(path, { method: 'OPTIONS', headers: { Origin: 'http://evil.example' } });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
    expect(asked).toHaveLength(1);
  });

  test.each<[number, string, string, string | null, Record<string, string>]>([
    [404, 'GET', '/api/v1', null, {}],
    [404, 'GET', '/api/v2/server/volume-list', null, {}],
    [404, 'GET', '/api/v1/server/nonsense', null, {}],
    [404, 'GET', '/api/v1/server/__proto__', null, {}],
    [404, 'GET', '/api/v1/constructor/volume-list', null, {}],
    [404, 'GET', '/api/v1/server/volume-list/more', null, {}],
    [404, 'GET', '/api/v1/servers/volume-list', null, {}],
    [404, 'GET', '/api/v1/servers/a/b/volume-list', null, {}],
    [404, 'POST', '/api/v1/client/server-call', '{"method":"volume-remove"}', {}],
    [400, 'GET', '/api/v1/servers/..%2fserver/volume-list', null, {}],
    [400, 'GET', '/api/v1/server//volume-list', null, {}],
    [405, 'POST', '/api/v1/server/volume-list', '{}', {}],
    [405, 'GET', '/api/v1/server/volume-remove?name=a', null, {}],
    [405, 'PUT', '/api/v1/server/volume-create', '{}', {}],
    [405, 'POST', '/api/v1/openapi.json', '{}', {}],
    [415, 'POST', '/api/v1/server/volume-remove', 'name=a', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    [415, 'POST', '/api/v1/server/volume-remove', '{"name":"a"}', { 'Content-Type': 'text/plain' }],
    [400, 'POST', '/api/v1/server/volume-remove', '{"name":', {}],
    [400, 'POST', '/api/v1/server/volume-remove', '[]', {}],
    [400, 'POST', '/api/v1/server/volume-remove', '{"name":"a","__proto__":{}}', {}],
    [400, 'POST', '/api/v1/server/volume-remove?name=b', '{"name":"a"}', {}],
    [400, 'POST', '/api/v1/server/volume-remove', '{"name":"a","request":"b"}', {}],
    [400, 'POST', '/api/v1/server/volume-remove', '{"name":"a"}', { 'Idempotency-Key': 'a'.repeat(ORDER_ID_MAX_CHARS + 1) }],
    [400, 'POST', '/api/v1/server/volume-remove', '{"name":"a"}', { 'Idempotency-Key': 'a b' }],
    [400, 'POST', '/api/v1/client/attach', '{"names":["a"]}', { 'Idempotency-Key': 'a' }],
  ])('that is wrong gets %d, and reaches no daemon: %s %s', async (status, method, path, body, headers) => {
    const type: Record<string, string> = body === null ? {} : { 'Content-Type': 'application/json' };
    const response = await raw(method, path, body, { ...type, ...headers });
    expect(response.head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(response.head).toMatch(/\r\nContent-Type: application\/problem\+json\r\n/i);
    if (status === 405) expect(response.head).toMatch(/\r\nAllow: /);
    expect(JSON.parse(response.body)).toMatchObject({ status });
    expect(asked).toEqual([]);
  });

  test('that is too long is refused', async () => {
    const long = await send(`/api/v1/server/volume-list?pool=${'a'.repeat(WEB_URL_MAX_CHARS)}`);
    const large = await order('/api/v1/server/config-check', { text: 'a'.repeat(API_BODY_MAX_BYTES) });
    expect([await problemOf(long), await problemOf(large), asked]).toMatchObject([{ status: 414 }, { status: 413, code: 'E_LIMIT' }, []]);
  });

  test('with a wrong parameter is told its name and what is allowed', async () => {
    const wrong = async (query: string): Promise<Record<string, unknown>> => problemOf(await send(`/api/v1/server/volume-show?${query}`));
    expect(await wrong('name=a&universe=x')).toMatchObject({
      status: 400,
      code: 'E_USAGE',
      parameter: 'universe',
      detail: expect.stringContaining('give a whole number from 0 to'),
    });
    for (const query of ['name=a&universe=-1', 'name=a&universe=1&universe=2', 'name=a&universe='])
      expect(await wrong(query)).toMatchObject({ parameter: 'universe' });
    expect(await wrong('name=')).toMatchObject({ parameter: 'name' });
    expect(await wrong('universe=1')).toMatchObject({ parameter: 'name' });
    expect(await wrong('name=a&nonsense=1')).toMatchObject({
      parameter: 'nonsense',
      detail: expect.stringContaining('known are name, universe'),
    });
    expect(await wrong('name=a&namespace=osl')).toMatchObject({ parameter: 'namespace' });
  });

  test('gives parameters by their shapes', async () => {
    const volume = JSON.stringify({ name: 'a', universe: 1 });
    await send(`/api/v1/server/audit?since=&volume=${encodeURIComponent(volume)}&limit=7`);
    await send('/api/v1/client/query?refresh=true');
    await send('/api/v1/servers/big-9/volume-show?name=null&universe=2&namespace=osl');
    expect(asked.map(({ params }) => params)).toEqual([
      { since: null, who: null, volume: { name: 'a', universe: 1 }, limit: 7 },
      { refresh: true },
      { server: 'big-9', namespace: 'osl', method: 'volume-show', params: { name: 'null', universe: 2 }, waitMs: null },
    ]);
  });
});

describe('for a page', () => {
  const token = (rights: WebRight) => settings.tokens.find((one) => one.rights === rights)!;
  const run = (operation: Operation, rights: WebRight, api = rsweb.api) => {
    const target = operation.place === 'servers' ? { server: 'big-9', namespace: null } : null;
    return api.run({ operation, target, params: neededOf(operation.params), id: 'order-1' }, token(rights));
  };

  test.each(RIGHTS)('a token with rights = %s may call exactly what it may over HTTP', async (rights) => {
    for (const operation of all) {
      asked = [];
      const isDone = await run(operation, rights).then(
        () => true,
        (error: RsError) => (expect(error.code).toBe('E_RIGHTS'), false),
      );
      expect([isDone, asked.length], `${operation.place} ${operation.method}`).toEqual(mayCall(rights, operation) ? [true, 1] : [false, 0]);
    }
  });

  test('an order has the id of its token and form, is logged, and is taken only with --manage', async () => {
    const remove = OPERATIONS.server.get('volume-remove')!;
    await run(remove, 'operate');
    await run(remove, 'admin');
    const ids = asked.map(({ params }) => (params as { readonly request: string }).request);
    expect(ids).toEqual([expect.stringMatching(/^order-1-[0-9a-f]{32}$/), expect.stringMatching(/^order-1-[0-9a-f]{32}$/)]);
    expect(ids[0]).not.toBe(ids[1]);
    expect(lines[0]).toBe('Token operate orders volume-remove of server over HTTP');
    const watching = await started(false);
    await expect(run(remove, 'admin', watching.api)).rejects.toThrow(/takes no orders: start it with rsweb --manage/);
    await run(OPERATIONS.server.get('volume-list')!, 'view', watching.api);
    await watching.close();
  });

  test('its places are given back, also after an error', async () => {
    answer = () => Promise.reject(new RsError('E_BUSY', 'busy'));
    for (let count = 0; count <= 2 * API_CHANGES_PER_TOKEN_MAX; count++)
      await expect(run(OPERATIONS.server.get('volume-remove')!, 'admin')).rejects.toThrow('busy');
  });
});

describe('an order', () => {
  test('has the id of its header, and the name of its token, which is in the log too', async () => {
    await order('/api/v1/server/volume-remove', { name: 'a' }, { rights: 'operate', headers: { 'Idempotency-Key': 'k-1' } });
    await order('/api/v1/servers/big-9/volume-remove', { name: 'b' });
    expect(asked).toMatchObject([
      {
        daemon: 'server',
        method: 'volume-remove',
        params: { name: 'a', universe: 0, request: expect.stringMatching(/^k-1-[0-9a-f]{32}$/) },
        by: 'rsweb token operate',
        role: 'operator',
      },
      {
        daemon: 'client',
        params: { server: 'big-9', params: { name: 'b', request: expect.stringMatching(/^[\w-]{36}$/) } },
        by: 'rsweb token admin',
      },
    ]);
    expect(lines).toEqual([
      'Token operate orders volume-remove of server over HTTP',
      'Order volume-remove of server of token operate is done',
      'Token admin orders volume-remove of server big-9 over HTTP',
      'Order volume-remove of server big-9 of token admin is done',
    ]);
  });

  test('has the id of its token and key: another token with this key gives another order', async () => {
    const key = 'k'.repeat(ORDER_ID_MAX_CHARS);
    for (const rights of ['operate', 'operate', 'admin', 'manage'] as const)
      await order('/api/v1/server/volume-remove', { name: 'a' }, { rights, headers: { 'Idempotency-Key': key } });
    const ids = asked.map(({ params }) => (params as { readonly request: string }).request);
    expect([ids[0] === ids[1], new Set(ids).size, ids.every((id) => id.length <= ORDER_ID_MAX_CHARS)]).toEqual([true, 3, true]);
  });

  test('is executed with the role of its token, and so is a read', async () => {
    for (const rights of RIGHTS) await send('/api/v1/server/volume-list', { rights });
    for (const rights of RIGHTS) await order('/api/v1/server/volume-remove', { name: 'a' }, { rights });
    expect(asked.map(({ method, role }) => `${method} ${role}`)).toEqual([
      ...['reader', 'operator', 'administrator', 'operator'].map((role) => `volume-list ${role}`),
      ...['operator', 'administrator', 'operator'].map((role) => `volume-remove ${role}`),
    ]);
  });

  test('that a daemon refuses gets the status of its code, and what the daemon says', async () => {
    answer = () => Promise.reject(new RsError('E_HELD', 'Volume a@0 is held by big-2: detach it', { holder: 'secret' }));
    const response = await order('/api/v1/server/volume-remove', { name: 'a' });
    expect(await problemOf(response)).toEqual({
      type: 'urn:rsio:error:E_HELD',
      title: 'Held',
      status: 409,
      detail: 'Volume a@0 is held by big-2: detach it',
      code: 'E_HELD',
    });
    answer = () => Promise.reject(new Error('secret'));
    const failed = await order('/api/v1/server/volume-remove', { name: 'a' });
    expect(await problemOf(failed)).toMatchObject({ status: 500, code: 'E_INTERNAL', detail: expect.not.stringContaining('secret') });
  });

  test('that begins a job leads to it until it has ended', async () => {
    const path = '/api/v1/servers/big-9/volume-move';
    const job = { ...(resultOf('server', 'job-cancel') as { job: object }).job, id: 'a/b' };
    const answered = (endedMs: number | null) => async () => ({ namespace: 'osl', server: 'big-9', result: { job: { ...job, endedMs } } });
    answer = answered(null);
    const going = await order(path, { name: 'a', pool: 'fast' });
    expect([going.status, going.headers.get('location')]).toEqual([202, '/api/v1/servers/big-9/job-list?id=a%2Fb']);
    const scoped = await order(`${path}?namespace=osl`, { name: 'a', pool: 'fast' });
    expect(scoped.headers.get('location')).toBe('/api/v1/servers/big-9/job-list?id=a%2Fb&namespace=osl');
    answer = answered(1);
    const ended = await order(path, { name: 'a', pool: 'fast' });
    expect([ended.status, ended.headers.get('location')]).toEqual([200, null]);
  });

  test('of a server whose answer has another form is not passed on', async () => {
    answer = async () => ({ namespace: 'osl', server: 'big-9', result: { volume: 7 } });
    expect(await problemOf(await send('/api/v1/servers/big-9/volume-show?name=a'))).toMatchObject({ status: 502, code: 'E_VERSION' });
  });
});

test('events are followed as a stream, which ends with its token', async () => {
  const event = { number: 8, atMs: 1, object: 'volume a@0', from: 'x', to: 'y', reason: '' };
  answer = async ({ params }) => {
    const { after } = params as { readonly after: number };
    return after < 8 ? { events: [event], missed: 0, last: 8, beganMs: 1 } : new Promise(() => {});
  };
  const accept = { Accept: 'text/event-stream' };
  const wrong = await send('/api/v1/client/events', { headers: { ...accept, 'Last-Event-ID': 'x' } });
  expect([wrong.status, asked.length]).toEqual([400, 0]);
  const response = await send('/api/v1/client/events?after=3', { rights: 'view', headers: { ...accept, 'Last-Event-ID': '7' } });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  let got = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) got += Buffer.from(chunk as Uint8Array).toString();
  })().catch(() => {});
  await expect.poll(() => got, PATIENT).toContain(`id: 8\ndata: ${JSON.stringify(event)}\n\n`);
  expect(asked[0]).toMatchObject({ daemon: 'client', method: 'events', params: { after: 7 } });
  rsweb.api.close();
  await reading;
});

test('a flood of one token is bounded, and leaves places to others', async () => {
  const held: (() => void)[] = [];
  answer = () => new Promise((resolve) => held.push(() => resolve({ volumes: [] })));
  const statuses: number[] = [];
  const noted = (response: Promise<Response>): Promise<unknown> => response.then(({ status }) => statuses.push(status));
  const flood = Array.from({ length: 20 }, () => [
    noted(send('/api/v1/server/volume-list', { rights: 'view' })),
    noted(order('/api/v1/server/volume-remove', { name: 'a' }, { rights: 'operate' })),
  ]).flat();
  const places = API_READS_PER_TOKEN_MAX + API_CHANGES_PER_TOKEN_MAX;
  await expect.poll(() => statuses.length, PATIENT).toBe(flood.length - places);
  expect([asked.length, new Set(statuses)]).toEqual([places, new Set([429])]);
  const other = send('/api/v1/server/volume-list');
  await expect.poll(() => asked.length, PATIENT).toBe(places + 1);
  for (const release of held) release();
  await Promise.all(flood);
  expect(statuses.filter((status) => status === 200)).toHaveLength(places);
  expect((await other).status).toBe(200);
  answer = null;
  await expect.poll(async () => (await send('/api/v1/server/volume-list', { rights: 'view' })).status, PATIENT).toBe(200);
});

test('requests that wait behind a stream on one connection give their places back when it breaks', async () => {
  const get = (path: string, headers = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${tokens.view}\r\n${headers}\r\n`;
  answer = (one) => (one.method === 'events' ? new Promise(() => {}) : Promise.resolve(resultOf(one.daemon, one.method)));
  const stream = get('/api/v1/server/events', 'Accept: text/event-stream\r\n');
  for (let round = 0; round < 3; round++) {
    asked = [];
    const socket = connect(rsweb.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(stream + stream + Array.from({ length: API_READS_PER_TOKEN_MAX }, () => get('/api/v1/server/volume-list')).join(''));
    await expect.poll(() => asked.filter(({ method }) => method === 'volume-list').length, PATIENT).toBe(API_READS_PER_TOKEN_MAX);
    expect((await send('/api/v1/server/volume-list', { rights: 'view' })).status).toBe(429);
    socket.destroy();
    await expect.poll(async () => (await send('/api/v1/server/volume-list', { rights: 'view' })).status, PATIENT).toBe(200);
  }
});

/** Sends a request as it is written, without the corrections of fetch. */
function raw(method: string, path: string, body: string | null, headers: Record<string, string>): Promise<{ head: string; body: string }> {
  const all = {
    Host: '127.0.0.1',
    Connection: 'close',
    Authorization: `Bearer ${tokens.admin}`,
    'Content-Length': `${(body ?? '').length}`,
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve) => {
    const socket = connect(rsweb.port, '127.0.0.1');
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve({ head: got.split('\r\n\r\n')[0] ?? '', body: got.split('\r\n\r\n').slice(1).join('\r\n\r\n') }));
    socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body ?? ''}`);
  });
}
