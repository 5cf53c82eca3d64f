// The journey of docs/TUTORIAL.md over the HTTP interface of rsweb, with real daemons: a program creates a volume of a pool, attaches it,
// takes a snapshot, grows the volume, detaches and removes it. It reaches the server through the client of its machine, with the rights of
// this client. Skipped without root, loop devices or xfsprogs, because a snapshot needs reflink. A repeated order is executed once; the audit names the token; a login of a browser gives no rights here. Rules: G54.

import type { SERVER_METHODS, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { reloadWeb, startWeb, tokenOf, WEB_ADDRESS, writeWeb } from '../support/hosts/web.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { startPoolPair } from '../support/scenes/pool-pair.ts';

const TEST_MS = 300_000;
const SEEN_MS = 15_000;
const MIB = 1024 * 1024;

const hosts = useHosts();

type Answered<R> = R & { readonly code?: string; readonly parameter?: string };

/** The HTTP interface of an rsweb, for one token. */
class Program {
  readonly url: string;
  private readonly token: string;

  constructor(port: number, token: string) {
    this.url = `http://${WEB_ADDRESS}:${port}`;
    this.token = token;
  }

  fetch(where: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string>) };
    return fetch(`${this.url}/api/v1/${where}`, { ...init, headers });
  }

  /** Returns the answer of a GET, which must be good. */
  async get<R>(where: string, query: Record<string, string> = {}): Promise<R> {
    const response = await this.fetch(`${where}?${new URLSearchParams(query).toString()}`);
    return this.good<R>(where, response);
  }

  post(where: string, body: object, key: Record<string, string> = {}): Promise<Response> {
    const headers = { 'Content-Type': 'application/json', ...key };
    return this.fetch(where, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  async order<R>(where: string, body: object, id?: string): Promise<R> {
    return this.good<R>(where, await this.post(where, body, id === undefined ? {} : { 'Idempotency-Key': id }));
  }

  private async good<R>(where: string, response: Response): Promise<R> {
    const body = (await response.json()) as Answered<R>;
    expect(response.ok, `${where}: ${response.status} ${JSON.stringify(body)}`).toBe(true);
    return body;
  }
}

/** Answers of rssrv and rsiod. */
type Of<M extends keyof typeof SERVER_METHODS> = ServerMethods[M]['result'];
type OfClient<M extends keyof ControlMethods> = ControlMethods[M]['result'];

it('a program creates a volume, uses it and removes it over HTTP, with the rights of its token and of its client', {
  timeout: TEST_MS,
}, async (context) => {
  const { server, client } = await startPoolPair(hosts, context);
  const [admin, deploy] = [await tokenOf(server, 'anna', '--rights', 'admin'), await tokenOf(client, 'deploy', '--rights', 'operate')];
  const looking = await tokenOf(client, 'look');
  const operator = await tokenOf(server, 'otto', '--rights', 'operate');
  const serverPort = await startWeb(server, admin, operator);
  const clientPort = await startWeb(client, deploy, looking);
  const [atServer, program, viewer] = [
    new Program(serverPort, admin.token),
    new Program(clientPort, deploy.token),
    new Program(clientPort, looking.token),
  ];
  const stream = await viewer.fetch('client/events', { headers: { Accept: 'text/event-stream' } });
  let seen = '';
  const following = (async () => {
    for await (const chunk of stream.body ?? []) seen += Buffer.from(chunk as Uint8Array).toString();
  })().catch(() => {});

  // A volume is created once, however often the order arrives. The same id with another order is refused.
  const created = { name: 'oracle', sizeBytes: 16 * MIB, pool: 'fast' };
  const first = await program.order<Of<'volume-create'>>('servers/big-9/volume-create', created, 'deploy-1');
  expect(await program.order('servers/big-9/volume-create', created, 'deploy-1')).toEqual(first);
  const other = await program.post('servers/big-9/volume-create', { ...created, name: 'other' }, { 'Idempotency-Key': 'deploy-1' });
  expect([other.status, await other.json()]).toEqual([400, expect.objectContaining({ code: 'E_USAGE' })]);
  const again = await program.post('servers/big-9/volume-create', created);
  expect([again.status, await again.json()]).toEqual([409, expect.objectContaining({ code: 'E_EXISTS' })]);

  await program.get('client/await-volume', { namespace: 'osl', server: 'big-9', id: first.volume.id ?? '' });
  const { outcomes } = await program.order<OfClient<'attach'>>('client/attach', { names: ['oracle'] });
  expect(outcomes).toMatchObject([{ volume: 'osl:oracle@0', done: true, error: null }]);
  const { attachments } = await program.get<OfClient<'local'>>('client/local');
  expect(attachments).toMatchObject([{ name: 'oracle', state: 'attached' }]);
  const { volume } = await program.get<Of<'volume-show'>>('servers/big-9/volume-show', { name: 'oracle' });
  expect(volume.holders).toMatchObject([{ node: 'big-2' }]);

  const snapshots = [{ name: 'oracle', universe: 0, snapshot: 'monday' }];
  await program.order('servers/big-9/volume-snapshot', { snapshots });
  await program.order('servers/big-9/volume-grow', { name: 'oracle', sizeBytes: 32 * MIB });
  const sizeOf = async (): Promise<number> => {
    const { attachments: now } = await program.get<OfClient<'local'>>('client/local');
    return now.reduce((sum, { blocks, blockSizeBytes }) => sum + blocks * blockSizeBytes, 0);
  };
  await waitFor(async () => (await sizeOf()) === 32 * MIB, SEEN_MS, 'the client sees the growth');

  // The page and the interface agree on what a token may do; the server has the last word about this client.
  const removal = { name: 'oracle' };
  expect((await viewer.post('servers/big-9/volume-remove', removal)).status).toBe(403);
  expect((await program.post('servers/big-9/client-kick', { name: 'venus' })).status).toBe(403);
  expect((await program.post('client/reload', {})).status).toBe(403);
  const held = await program.post('servers/big-9/volume-remove', removal);
  expect([held.status, await held.json()]).toEqual([409, expect.objectContaining({ code: 'E_HELD' })]);
  const missing = await program.fetch('servers/big-8/volume-list');
  expect([missing.status, ((await missing.json()) as { code: string }).code.slice(0, 2)]).toEqual([expect.any(Number), 'E_']);

  // A login of a browser gives no rights here.
  const login = await fetch(`${program.url}/login`, {
    method: 'POST',
    headers: { Origin: program.url },
    body: new URLSearchParams({ token: deploy.token }),
    redirect: 'manual',
  });
  const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  expect((await fetch(`${program.url}/picture.json`, { headers: { Cookie: cookie } })).status).toBe(200);
  expect((await fetch(`${program.url}/api/v1/client/local`, { headers: { Cookie: cookie } })).status).toBe(401);

  await program.order('client/detach', { names: ['oracle'] });
  await program.order('servers/big-9/volume-snapshot-remove', { name: 'oracle', snapshot: 'monday' });
  await program.order('servers/big-9/volume-remove', removal);
  expect(await program.get<Of<'volume-list'>>('servers/big-9/volume-list')).toMatchObject({ volumes: [] });
  await waitFor(() => seen.includes('volume osl:oracle@0'), SEEN_MS, 'the stream has the events of the volume');

  // An admin changes at the server itself what no client may. The audit names the token, and rsiod logs the token of its machine.
  await atServer.order('server/volume-create', { name: 'logs', sizeBytes: 16 * MIB, pool: 'fast' }, 'anna-1');
  await atServer.order('server/volume-stop', { name: 'logs' });
  // rssrv executes an order with the role of its token: parameters do not give it more.
  const otto = new Program(serverPort, operator.token);
  const forced = await otto.post('server/volume-create', { name: 'forced', sizeBytes: 16 * MIB, pool: 'fast', takeOverForce: true });
  expect([forced.status, await forced.json()]).toEqual([403, expect.objectContaining({ code: 'E_RIGHTS' })]);
  const limited = await otto.post('server/volume-set', { name: 'logs', settings: ['iops=50'] });
  expect([limited.status, await limited.json()]).toEqual([403, expect.objectContaining({ code: 'E_RIGHTS' })]);
  await otto.order('server/volume-grow', { name: 'logs', sizeBytes: 32 * MIB });
  const move = await atServer.post('server/volume-copy', { name: 'logs', newName: 'more', pool: 'fast' });
  expect([200, 202]).toContain(move.status);
  if (move.status === 202) expect(move.headers.get('location')).toMatch(/^\/api\/v1\/server\/job-list\?id=/);
  const { entries } = await atServer.get<Of<'audit'>>('server/audit', { who: 'anna' });
  expect(entries.map(({ order }) => order).toSorted()).toEqual(['volume-copy', 'volume-create', 'volume-stop']);
  expect(entries[0]?.who).toMatch(/^rsweb token anna, by \w+$/);
  expect(entries.find(({ order }) => order === 'volume-create')?.id).toMatch(/^anna-1-[0-9a-f]{32}$/);
  await client.logged('rsiod', 'rsweb token deploy asks for server-call');

  // When its token is withdrawn, a stream ends.
  writeWeb(client, `[web]\nlisten = ${WEB_ADDRESS}:${clientPort}\n${deploy.section}`);
  reloadWeb(client);
  await following;
  expect((await viewer.fetch('client/local')).status).toBe(401);
});
