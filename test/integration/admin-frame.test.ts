// ADMIN with real servers: the effect of each right; changes that are requested again after lost sessions, kills and changes by other
// clients; lists that do not change while they are read; the notifications of changes to clients; and a client that floods. Unit tests of
// the parts are in packages/rssrv/src/admin/remote/ and pools/requests/. Rules: A1, A2, A4 to A6, G17, G18.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { ADMIN_PER_SESSION_MAX, ADMIN_PART_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { beforeEach, expect, it } from 'vitest';
import { keyOf, serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { callAdmin, callAdminWell, newId } from '../support/peers/admin-calls.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 * 1024;
const RIGHTS = '\n[rights]\nbig-2 manage pool=fast limit=64m\nops admin\n';
const NODES = ['big-2', 'venus', 'ops'];
/** Number of rounds of I/O and of local commands that must succeed during a flood. */
const ROUNDS = 20;

const hosts = useHosts();
let server: Host;
let network: TestNetwork;
let instance = 1;

beforeEach(async () => {
  server = hosts.host();
  network = await hosts.network(1);
});

async function start(volumes: Parameters<typeof serverConfig>[1]['volumes'] = {}, rights = RIGHTS): Promise<void> {
  const pools: Record<string, Record<string, string>> = {};
  for (const name of ['fast', 'slow']) {
    const folder = path.join(server.root, name);
    mkdirSync(folder);
    const allocate = (): Promise<void> => Promise.reject(new Error('An empty pool needs no space'));
    await new PoolFiles(folder, { allocate }).makePool({ id: crypto.randomUUID(), createdMs: Date.now() });
    pools[name] = { path: folder };
  }
  const clients = Object.fromEntries(NODES.map((node) => [node, keyOf(node)]));
  server.writeConfig('rssrv', serverConfig(network, { volumes, pools, clients }) + rights);
  await server.start('rssrv');
}

/** Begins a new session of the node, which ends its earlier session. */
async function login(node: string): Promise<RawClient> {
  const at = { address: network.serverAddresses[0] ?? '', port: network.port };
  const hello = { features: [FEATURE.ADMIN], instance: instance++ };
  const client = await RawClient.begin(at, { node, nodekey: keyOf(node), namespaceid: 200, hello });
  hosts.onClean(() => client.close());
  return client;
}

const create = (name: string, changes: object = {}): object => ({ name, sizeBytes: 16 * MIB, pool: 'fast', ...changes });

async function errorOf(client: RawClient, method: string, params: object): Promise<string> {
  const { error } = await callAdmin(client, method, params);
  return error === undefined ? 'no error' : `${error.code}: ${error.message}`;
}

async function volumesOf(client: RawClient): Promise<string[]> {
  const { volumes } = (await callAdminWell(client, 'volume-list', {})) as { volumes: { name: string }[] };
  return volumes.map(({ name }) => name);
}

it('each right does what it may, and a refusal names the right or the numbers', async () => {
  await start();
  const [big, venus, ops] = [await login('big-2'), await login('venus'), await login('ops')];
  await callAdminWell(big, 'volume-create', create('mine', { clients: ['big-2'] }));
  await callAdminWell(ops, 'volume-create', create('others', { pool: 'slow' }));
  for (const [method, { right }] of Object.entries(SERVER_METHODS)) {
    if (right === 'use' || right === 'copy') continue;
    expect(await errorOf(venus, method, {}), method).toMatch(/^E_(RIGHTS|USAGE): /);
  }
  expect(await errorOf(venus, 'volume-create', create('hers'))).toMatch(/^E_RIGHTS: .*its right is use, and manage is needed/);
  expect(await errorOf(big, 'volume-create', create('more', { sizeBytes: 64 * MIB }))).toMatch(/^E_RIGHTS: .*64m.*16m of its limit 64m/);
  expect(await errorOf(big, 'volume-grow', { name: 'others', sizeBytes: 32 * MIB })).toMatch(/^E_RIGHTS: .*may not change pool slow/);
  expect(await errorOf(big, 'reload', {})).toMatch(/^E_RIGHTS: .*admin is needed/);
  expect(await errorOf(ops, 'pool-make', { path: '/tmp' })).toMatch(/^E_RIGHTS: .*only for programs on the server/);
  expect(await errorOf(venus, 'volume-show', { name: 'mine' })).toMatch(/^E_UNKNOWN_VOLUME: /);
  expect([await volumesOf(big), await volumesOf(venus), await volumesOf(ops)]).toEqual([
    ['mine', 'others'],
    ['others'],
    ['mine', 'others'],
  ]);
  const { result } = await callAdmin(venus, 'volume-list', {});
  expect(JSON.stringify(result)).not.toContain(server.root);
});

it('orders about clients need the right admin, never concern the one that gives them, and are in the audit trail', async () => {
  await start();
  const [big, venus, ops] = [await login('big-2'), await login('venus'), await login('ops')];
  for (const order of ['kick', 'fence', 'unfence', 'release']) {
    const method = `client-${order}`;
    expect(await errorOf(venus, method, { name: 'big-2' }), method).toMatch(/^E_RIGHTS: .*its right is use, and admin is needed/);
    expect(await errorOf(big, method, { name: 'venus' }), method).toMatch(/^E_RIGHTS: .*its right is manage, and admin is needed/);
    expect(await errorOf(ops, method, { name: 'ops' }), method).toMatch(/^E_RIGHTS: Client ops may not .* itself/);
  }
  expect(await callAdminWell(ops, 'client-kick', { name: 'venus' })).toMatchObject({ wasConnected: true });
  await venus.ended();
  expect(await callAdminWell(ops, 'client-fence', { name: 'big-2' })).toMatchObject({ wasConnected: true });
  expect(await server.rsadmWell('client', 'list')).toMatch(/^big-2 +fenced /m);
  await callAdminWell(ops, 'client-unfence', { name: 'big-2' });
  await callAdminWell(await login('big-2'), 'volume-list', {});
  const said = server.log('rssrv');
  expect(said).toMatch(/Client venus was kicked: .*, by client ops/);
  expect(said).toMatch(/Client big-2 is fenced: .*, by client ops/);
});

it('a change that is asked for again is answered as before: in a new session, after a kill, and after changes by others', async () => {
  await start();
  const [made, refused] = [newId(), newId()];
  const first = await callAdmin(await login('big-2'), 'volume-create', create('db'), { id: made });
  const no = await callAdmin(await login('big-2'), 'volume-create', create('db'), { id: refused });
  expect([first.error, no.error?.code]).toEqual([undefined, 'E_EXISTS']);
  await server.rsadmWell('volume', 'rename', 'db', 'dc');
  await server.rsadmWell('volume', 'remove', 'dc', '--yes');
  await server.kill('rssrv');
  await server.start('rssrv');
  const again = await login('big-2');
  expect(await callAdmin(again, 'volume-create', create('db'), { id: made })).toEqual(first);
  expect(await callAdmin(again, 'volume-create', create('db'), { id: refused })).toEqual(no);
  expect(await volumesOf(again)).toEqual([]);
  expect(await callAdmin(again, 'volume-create', create('dd'), { id: made })).toMatchObject({ error: { code: 'E_USAGE' } });
  // If another client sends the same id, the server treats its request as another request.
  expect(await callAdmin(await login('ops'), 'volume-create', create('db'), { id: made })).toHaveProperty('result');
  expect(await volumesOf(again)).toEqual(['db']);
});

it('a list is one moment, however long it takes to read, and belongs to its session', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `v${index}`);
  await start(Object.fromEntries(names.map((name) => [name, { type: 'null', size: '1m' }])));
  const big = await login('big-2');
  let between = 0;
  const { result } = await callAdmin(
    big,
    'volume-list',
    {},
    {
      between: async () => {
        between++;
        await server.rsadmWell('volume', 'create', `a${between}`, '--size', '1m', '--pool', 'fast');
      },
    },
  );
  expect(JSON.stringify(result).length).toBeGreaterThan(ADMIN_PART_MAX_BYTES);
  expect(between).toBeGreaterThan(0);
  expect((result as { volumes: { name: string }[] }).volumes.map(({ name }) => name)).toEqual(names.toSorted());
  expect((await volumesOf(big)).length).toBe(names.length + between);
});

it('a change is announced to the clients that may see the volume before or after, and to no other', async () => {
  await start();
  const [big, venus, ops] = [await login('big-2'), await login('venus'), await login('ops')];
  const told = async (change: () => Promise<unknown>): Promise<string[]> => {
    const clients = { big, venus };
    for (const client of Object.values(clients)) {
      await client.call({ op: OP.LIST });
      client.frames.length = 0;
    }
    await change();
    // If the server had sent a NOTIFY, this NOTIFY would arrive before the answer to this ADMIN.
    const names: string[] = [];
    for (const [name, client] of Object.entries(clients)) {
      await callAdminWell(client, 'daemon', {});
      if (client.frames.some(({ op }) => op === OP.NOTIFY)) names.push(name);
    }
    return names;
  };
  const set = (clients: string) => () => callAdminWell(ops, 'volume-set', { name: 'db', settings: [`clients=${clients}`] });
  expect(await told(() => callAdminWell(ops, 'volume-create', create('db', { clients: ['big-2'] })))).toEqual(['big']);
  expect(await told(() => callAdminWell(ops, 'volume-grow', { name: 'db', sizeBytes: 32 * MIB }))).toEqual(['big']);
  expect(await told(set('big-2,venus'))).toEqual(['big', 'venus']);
  expect(await told(() => callAdminWell(ops, 'volume-rename', { name: 'db', newName: 'dc' }))).toEqual(['big', 'venus']);
  expect(await told(() => callAdminWell(ops, 'volume-rename', { name: 'dc', newName: 'db' }))).toEqual(['big', 'venus']);
  expect(await told(set('venus'))).toEqual(['big', 'venus']);
  expect(await told(() => callAdminWell(ops, 'volume-remove', { name: 'db' }))).toEqual(['venus']);
  expect(await told(() => callAdminWell(ops, 'volume-restore', { name: 'db' }))).toEqual(['venus']);
});

it('a client that floods the server with ADMIN stops neither the I/O of another client nor the control socket', async () => {
  await start({}, `${RIGHTS}venus manage\n`);
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m', '--pool', 'fast', '--clients', 'big-2');
  const client = hosts.host();
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  const venus = await login('venus');
  let isFlooding = true;
  let answers = 0;
  const METHODS = ['volume-list', 'volume-create', 'no-such-method', 'pool-list'];
  const flood = async (slot: number): Promise<void> => {
    for (let times = slot; isFlooding; times++) {
      await callAdmin(venus, METHODS[times % METHODS.length] ?? '', create('hers'), { slot });
      answers++;
    }
  };
  // A session may have fewer requests in flight than these. The server therefore refuses some of these requests.
  const floods = Array.from({ length: 2 * ADMIN_PER_SESSION_MAX }, (_, slot) => flood(slot));
  await waitFor(() => answers > 100, 30_000, 'The flood runs');
  for (let round = 0; round < ROUNDS; round++) {
    await nbd.verify((round % 64) * 4096, 4096);
    if (round % 5 === 0) await server.rsadmWell('volume', 'create', `local-${round}`, '--size', '1m', '--pool', 'fast');
  }
  isFlooding = false;
  await Promise.all(floods);
  expect(await server.rsadmWell('volume', 'list')).toContain('local-15');
});
