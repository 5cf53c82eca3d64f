// Random requests to the HTTP interface of rsweb, with real daemons. Requests and the check of the answers come from the OpenAPI document
// only, because the tables of the product would have the same faults. Each answer is one that the document describes and is no internal
// error, a wrong parameter is named, and each daemon lives on.
// `API_SEED=7 API_CASES=100` tries other cases, and more. Skipped without root, loop devices or xfsprogs, because the pool makes snapshots
// and a file system of its own bounds the space of volumes. Rules: G54.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SERVER_NAME } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { startWeb, tokenOf, WEB_ADDRESS } from '../support/hosts/web.ts';
import { type ApiDocument, type ApiOperation, type ApiRequest, operationsOf, type Words } from '../support/peers/api-document.ts';
import { startPoolPair } from '../support/scenes/pool-pair.ts';

const TEST_MS = 300_000;
const SEED = Number(process.env['API_SEED'] ?? 20_260);
/** Requests for each operation that fit the schemas. */
const FITTING = Number(process.env['API_CASES'] ?? 4);
/** Requests for each operation with one wrong parameter. */
const WRONG = 3;
/** Fitting requests for an operation that may wait for seconds before it answers. */
const PATIENT = 2;
const OPERATIONS_MIN = 100;
const EXECUTED_MIN = 40;
const ANSWER_MS = 60_000;
const SHOWN_MAX_CHARS = 1_000;
const MIB = 1_048_576;
const VOLUMES = ['oracle', 'logs'];

/** Operations that are not tried, each with its reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'POST /client/stop': 'ends rsiod',
  'POST /client/restart': 'replaces rsiod, and the test compares its process',
};

const WAITING = ['GET /client/await-volume', 'GET /client/events', 'GET /server/events', 'POST /client/messages', 'POST /client/probe'];

const hosts = useHosts();

interface ApiAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
}

/** Sends requests to an rsweb. */
class Tried {
  /** Operations that were executed at least once. */
  readonly executed = new Set<string>();
  private readonly url: string;
  private readonly token: string;

  constructor(port: number, token: string) {
    this.url = `http://${WEB_ADDRESS}:${port}/api/v1`;
    this.token = token;
  }

  async send(where: string, init: RequestInit = {}): Promise<ApiAnswer> {
    // Each request has a connection of its own: on a busy machine this process makes requests for so long, without looking at its sockets,
    // that it would use a connection which rsweb has closed as unused.
    const headers = { ...(init.headers as Record<string, string>), Authorization: `Bearer ${this.token}`, Connection: 'close' };
    const response = await fetch(`${this.url}${where.replace('{server}', SERVER_NAME)}`, {
      ...init,
      headers,
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch((error: Error) => {
      throw new Error(`${where} got no answer: ${String(error)}, ${String(error.cause)}`);
    });
    return { status: response.status, type: response.headers.get('content-type') ?? '', body: await response.json() };
  }

  order(where: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<ApiAnswer> {
    return this.send(where, { method: 'POST', body: JSON.stringify(body), headers: { ...headers, 'Content-Type': 'application/json' } });
  }

  /** Sends a request that the document permits or not, and checks the answer. Returns the answer. */
  async call(
    operation: ApiOperation,
    request: ApiRequest,
  ): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
    const sent = operation.isRead
      ? this.send(operation.url(request), { headers: request.headers })
      : this.order(operation.path, request.values, request.headers);
    const { status, type, body } = await sent;
    const said = answered(operation, status, body);
    expect(operation.trouble(status, type, body), said).toBeNull();
    expect(status, said).not.toBe(500);
    expect((body as { readonly code?: string }).code, said).not.toBe('E_INTERNAL');
    if (status < 300) this.executed.add(operation.name);
    return { status, body: body as Record<string, unknown> };
  }

  /** Process of a daemon of this machine. Throws unless it answers. */
  async processOf(daemon: string): Promise<unknown> {
    const { status, body } = await this.send(`/${daemon}/daemon`);
    expect(status, `${daemon} does not answer: ${JSON.stringify(body)}`).toBe(200);
    return (body as { readonly pid: number }).pid;
  }
}

function placeOf({ path: where }: ApiOperation): string {
  return where.split('/')[1] ?? '';
}

function laneOf(operation: ApiOperation): string {
  return WAITING.includes(operation.name) ? 'waiting' : placeOf(operation);
}

function answered({ name }: ApiOperation, status: number, body: unknown): string {
  return `${name}: ${status} ${JSON.stringify(body).slice(0, SHOWN_MAX_CHARS)}`;
}

/** Makes the volumes and their snapshot, as far as other requests have removed them. */
async function renew(server: Tried): Promise<void> {
  for (const name of VOLUMES) {
    await server.order('/server/volume-create', { name, sizeBytes: MIB, pool: 'fast' });
    await server.order('/server/volume-snapshot', { snapshots: [{ name, universe: 0, snapshot: 'monday' }] });
  }
}

/** Tries an operation. Returns what is wrong; null if nothing is. */
async function troubleWith(operation: ApiOperation, seed: number, tried: Tried): Promise<string | null> {
  const runs = { seed, numRuns: WAITING.includes(operation.name) ? PATIENT : FITTING };
  try {
    await fc.assert(
      fc.asyncProperty(operation.requests(), async (request) => void (await tried.call(operation, request))),
      runs,
    );
    const named = async ({ wrong, ...request }: ApiRequest & { readonly wrong: string }): Promise<void> => {
      const { status, body } = await tried.call(operation, request);
      expect([status, body['parameter']], answered(operation, status, body)).toEqual([400, wrong]);
    };
    await fc.assert(fc.asyncProperty(operation.wrongRequests(), named), { ...runs, numRuns: WRONG });
    return null;
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause.message : '';
    return `${operation.name}: ${String(thrown)}\n${cause}`;
  }
}

it(`random requests of the seed ${SEED} get answers that the document describes, and a wrong parameter is named`, {
  timeout: TEST_MS,
}, async (context) => {
  const { server, client } = await startPoolPair(hosts, context);
  const [anna, deploy] = [await tokenOf(server, 'anna', '--rights', 'admin'), await tokenOf(client, 'deploy', '--rights', 'admin')];
  const atServer = new Tried(await startWeb(server, anna), anna.token);
  const atClient = new Tried(await startWeb(client, deploy), deploy.token);
  const places: Readonly<Record<string, Tried>> = { server: atServer, client: atClient, servers: atClient };
  const { body } = await atServer.send('/openapi.json');
  const words: Words = {
    ...Object.fromEntries(['names', 'newName', 'volume', 'volumes'].map((field) => [field, [...VOLUMES, 'new']])),
    name: [...VOLUMES, 'new', 'fast', 'big-2'],
    ...Object.fromEntries(['pool', 'pools', 'from'].map((field) => [field, ['fast']])),
    ...Object.fromEntries(['server', 'servers', 'to', 'owner'].map((field) => [field, [SERVER_NAME, 'big-2']])),
    ...Object.fromEntries(['client', 'clients', 'takeOver'].map((field) => [field, ['big-2', 'venus']])),
    ...Object.fromEntries(['target', 'source', 'path'].map((field) => [field, [path.join(server.root, 'reflink/file')]])),
    snapshot: ['monday'],
    namespace: ['osl'],
    settings: ['iops=50'],
    since: ['2h'],
    text: [readFileSync(server.rssrvPaths.configFile, 'utf8')],
  };
  const all = operationsOf(body as ApiDocument, words).filter((one) => Object.hasOwn(places, placeOf(one)));
  const left = all.filter(({ name }) => !Object.hasOwn(LEFT_OUT, name));
  expect(all.length - left.length).toBe(Object.keys(LEFT_OUT).length);
  expect(left.length).toBeGreaterThan(OPERATIONS_MIN);
  const processes = async (): Promise<unknown> => [await atServer.processOf('server'), await atClient.processOf('client')];
  const began = await processes();
  const troubles: string[] = [];
  // The requests of a lane follow each other; `servers` and the operations that wait have lanes of their own.
  const lanes = [...Object.keys(places), 'waiting'];
  const trying = lanes.map(async (lane) => {
    for (const operation of left.filter((one) => laneOf(one) === lane)) {
      if (lane === 'server') await renew(atServer);
      const trouble = await troubleWith(operation, SEED + left.indexOf(operation), places[placeOf(operation)]!);
      if (trouble !== null) troubles.push(trouble);
      expect(await processes(), operation.name).toEqual(began);
    }
  });
  await Promise.all(trying);
  expect(troubles.join('\n\n')).toBe('');
  // Most orders that the schemas permit are refused, but the checks must not see refusals only.
  expect(atServer.executed.size + atClient.executed.size).toBeGreaterThan(EXECUTED_MIN);
});
