// The pages of two machines with real daemons, a server and a client. The rsweb of each machine reads the rsweb of the other machine. Pages
// show a fault, orders take effect, and the logs name the asker of each order. Two rswebs that read each other do not repeat each other's
// statements.

import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { tokenOf, writeWeb } from '../support/hosts/web.ts';
import { wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const SEEN_MS = 15_000;
const ADDRESS = '127.0.0.1';

const hosts = useHosts();

interface Picture {
  readonly servers: readonly { readonly name: string; readonly machine: string | null; readonly state: string }[];
  readonly clients: readonly { readonly name: string; readonly machine: string | null; readonly state: string }[];
  readonly paths: readonly { readonly interface: string | null; readonly state: string }[];
  readonly volumes: readonly {
    readonly id: string;
    readonly name: string;
    readonly pool: string | null;
    readonly holders: readonly unknown[];
  }[];
  readonly pools: readonly { readonly name: string }[];
  readonly findings: readonly { readonly severity: string; readonly what: string; readonly remedy: string }[];
}

/** An rsweb under test, used like a program that has a token. */
class Web {
  readonly url: string;
  readonly token: string;

  constructor(port: number, token: string) {
    this.url = `http://${ADDRESS}:${port}`;
    this.token = token;
  }

  get(where: string, token = this.token): Promise<Response> {
    return fetch(`${this.url}${where}`, { headers: { Authorization: `Bearer ${token}` }, redirect: 'manual' });
  }

  async own(): Promise<Picture> {
    return (await (await this.get('/picture.json')).json()) as Picture;
  }

  /** Returns the picture of all sources. The picture is the first message of the live stream. */
  async whole(): Promise<Picture> {
    const response = await this.get('/live');
    let got = '';
    for await (const chunk of response.body ?? []) {
      got += Buffer.from(chunk as Uint8Array).toString();
      const [, text] = /^event: picture\ndata: (.*)\n\n/m.exec(got) ?? [];
      // This return leaves the loop over the stream, which ends the stream.
      if (text !== undefined) return JSON.parse(text) as Picture;
    }
    throw new Error(`The stream has ended: ${got}`);
  }

  order(name: string, fields: Record<string, string>, token = this.token): Promise<Response> {
    return fetch(`${this.url}/orders/${name}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
      body: new URLSearchParams(fields),
    });
  }
}

it('two machines that look at each other show faults of both, take orders, and do not repeat each other', {
  timeout: TEST_MS,
}, async () => {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  await startServer(server, network, {
    volumes: { oracle: { type: 'memory', size: '16m' } },
    pools: { fast: { path: await emptyPool(server) } },
  });
  await startClient(client, network);
  await client.rsconfigWell('-a', 'oracle');
  const [serverPort, clientPort] = [await freePort(ADDRESS), await freePort(ADDRESS)];
  const [anna, view, other] = [await tokenOf(server, 'anna', '--manage'), await tokenOf(server, 'view'), await tokenOf(client, 'look')];
  const operator = await tokenOf(server, 'otto', '--rights', 'operate');
  const keep = (host: Host, token: string): string => {
    const file = host.file('etc/web.token');
    writeFileSync(file, `${token}\n`);
    return file;
  };
  const source = (name: string, port: number, file: string): string =>
    `[source ${name}]\nurl = http://${ADDRESS}:${port}\ntoken-file = ${file}\n`;
  const ofServer = source('venus', clientPort, keep(server, other.token));
  writeWeb(server, `[web]\nlisten = ${ADDRESS}:${serverPort}\n${anna.section}${view.section}${operator.section}${ofServer}`);
  writeWeb(client, `[web]\nlisten = ${ADDRESS}:${clientPort}\n${other.section}${source('mars', serverPort, keep(client, view.token))}`);
  wellOf('rsweb', await server.run('rsweb', ['--manage']));
  wellOf('rsweb', await client.run('rsweb'));
  const [atServer, atClient] = [new Web(serverPort, anna.token), new Web(clientPort, other.token)];

  // Both rswebs show the same picture. The picture consists of what each rsweb has learned from the daemons of its own machine.
  for (const web of [atServer, atClient]) {
    await waitFor(
      async () => (await web.whole()).pools.length === 1 && (await web.whole()).paths.some((one) => one.interface !== null),
      SEEN_MS,
      'all is seen',
    );
    const whole = await web.whole();
    expect(whole.servers).toMatchObject([{ name: 'big-9', state: 'up' }]);
    expect(whole.clients.find(({ name }) => name === 'big-2')).toMatchObject({ state: 'connected' });
    expect(whole.volumes).toMatchObject([{ name: 'oracle', holders: [{ client: 'big-2' }] }]);
    expect(whole.paths.map(({ state }) => state)).toEqual(['up', 'up']);
    expect(whole.findings).toEqual([]);
  }
  // Each rsweb tells other rswebs only about its own machine.
  expect((await atClient.own()).pools).toEqual([]);
  expect((await atServer.own()).clients.every(({ machine }) => machine === null)).toBe(true);

  // A valid token gets the pages. A wrong token is refused, and a browser without a login is sent to the login page.
  const overview = await atServer.get('/');
  expect([overview.status, await overview.text()]).toEqual([200, expect.stringContaining('oracle')]);
  expect((await atServer.get('/', 'wrong')).status).toBe(401);
  const stranger = await fetch(`${atServer.url}/`, { redirect: 'manual' });
  expect([stranger.status, stranger.headers.get('location')]).toEqual([303, '/login']);
  const volume = (await atServer.whole()).volumes[0]?.id ?? '';
  expect((await atServer.get(`/volume/${encodeURIComponent(volume)}`)).status).toBe(200);
  expect((await atServer.get('/volume/none')).status).toBe(404);

  // A browser logs in. The browser may give orders only with the form token of its login.
  const origin = { Origin: atServer.url };
  const login = await fetch(`${atServer.url}/login`, {
    method: 'POST',
    headers: origin,
    body: new URLSearchParams({ token: anna.token }),
    redirect: 'manual',
  });
  const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const page = await (await fetch(`${atServer.url}/volume/${encodeURIComponent(volume)}`, { headers: { Cookie: cookie } })).text();
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page) ?? [];
  const browser = (fields: Record<string, string>, headers: Record<string, string> = origin): Promise<Response> =>
    fetch(`${atServer.url}/orders/volume-create`, {
      method: 'POST',
      headers: { Cookie: cookie, ...headers },
      body: new URLSearchParams(fields),
      redirect: 'manual',
    });
  const fields = { server: 'big-9', name: 'new', size: '16m', pool: 'big-9:fast' };
  expect((await browser(fields)).status).toBe(403);
  expect((await browser({ ...fields, csrf }, {})).status).toBe(403);
  expect((await browser({ ...fields, csrf }, { Origin: 'http://evil.example' })).status).toBe(403);
  const made = await browser({ ...fields, csrf });
  expect([made.status, made.headers.get('location')]).toEqual([303, expect.stringMatching(/^\/server\/big-9\?notice=/)]);
  await waitFor(async () => (await atServer.whole()).volumes.some(({ name }) => name === 'new'), SEEN_MS, 'the new volume is seen');
  await server.logged('rssrv', 'rsweb token anna asks for volume-create');

  // A read-only token may give no orders, and a destructive order needs a confirmation.
  expect((await atServer.order('client-kick', { client: 'big-2', confirm: 'yes' }, view.token)).status).toBe(403);
  expect((await atServer.order('client-kick', { client: 'big-2' })).status).toBe(409);
  // A token with rights = operate gives the orders that a client may give to a server, and no others.
  expect((await atServer.order('client-kick', { client: 'big-2' }, operator.token)).status).toBe(403);
  expect((await atServer.order('volume-create', { ...fields, name: 'more' }, operator.token)).status).toBe(200);
  // A program confirms a destructive order with the name of the object. The refusal of the unconfirmed order gives this name.
  const confirmed = async (fields: Record<string, string>): Promise<Response> => {
    const asked = await atServer.order('volume-remove', fields);
    const [, object = ''] = /confirm=(.+)$/.exec((await asked.text()).trim()) ?? [];
    return atServer.order('volume-remove', { ...fields, confirm: object });
  };
  const created = (await atServer.whole()).volumes.find(({ name }) => name === 'new')?.id ?? '';
  expect((await atServer.order('volume-remove', { volume: created, confirm: 'yes' })).status).toBe(409);
  expect((await confirmed({ volume: created })).status).toBe(200);
  expect((await atServer.order('volume-remove', { volume: 'none', confirm: 'yes' })).status).toBe(422);
  expect((await atClient.order('client-kick', { client: 'big-2', confirm: 'yes' })).status).toBe(403);

  // Both rswebs show a stopped server as an error with a remedy, and their pages still work.
  await server.kill('rssrv');
  for (const web of [atServer, atClient]) {
    const seen = async (): Promise<boolean> => {
      const whats = (await web.whole()).findings.map(({ what }) => what);
      return whats.some((what) => what.includes('rssrv is not running')) && whats.filter((what) => what.startsWith('Path ')).length === 2;
    };
    await waitFor(seen, SEEN_MS, 'the server and both paths are missed');
    const { findings } = await web.whole();
    expect(findings.every(({ remedy }) => remedy !== '')).toBe(true);
  }
});
