// The audit with real daemons: orders of an administrator and of clients, refused ones, over a restart and a kill of the server, and what a
// client cannot do to it. packages/rssrv/src/admin/audit.test.ts tests the texts of entries and their bounds. Rules: G52.

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import { beforeEach, expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { type ServerConfigOptions, serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const hosts = useHosts();
let server: Host;
let client: Host;

beforeEach(() => {
  server = hosts.host();
  client = hosts.host();
});

/** Starts server big-9 with a pool, and client big-2 with this right. Returns a function that gives the client another right. */
async function startBoth(right: string): Promise<(right: string) => Promise<void>> {
  const network = await hosts.network(2);
  const pool = await emptyPool(server);
  const config = (of: string): ServerConfigOptions => ({ volumes: {}, pools: { fast: { path: pool } }, rights: { 'big-2': of } });
  await startServer(server, network, config(right));
  await startClient(client, network);
  return async (next) => {
    server.writeConfig('rssrv', serverConfig(network, config(next)));
    await server.rsadmWell('reload');
  };
}

async function entries(...words: string[]): Promise<AuditEntry[]> {
  return (JSON.parse(await server.rsadmWell('audit', '--json', ...words)) as { entries: AuditEntry[] }).entries;
}

const shortOf = ({ who, order, volume, outcome }: AuditEntry): string =>
  [who.replace(/ \(logged in as .*\)$/, ''), order, volume ?? '-', outcome].join(' ');

it('each order has an entry with its asker and what it has changed, refused ones too, and a restart or a kill loses none', async () => {
  const me = userInfo().username;
  await startBoth('manage');
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await client.rsconfigWell('volume', 'grow', 'oracle', '32m');
  await client.rsconfigWell('volume', 'rename', 'oracle', 'ledger');
  const refused = await client.rsconfig('volume', 'set', 'ledger', 'iops=100');
  expect(refused.stderr).toContain('E_RIGHTS');
  const known = [
    `${me} volume-create oracle done`,
    'client big-2 volume-grow oracle done',
    'client big-2 volume-rename oracle done',
    'client big-2 volume-set ledger E_RIGHTS',
  ];
  const { events } = JSON.parse(await server.rsadmWell('events', '--json')) as { events: { to: string; order?: object }[] };
  expect(events.find(({ to }) => to === 'grown')?.order).toEqual({ who: 'client big-2', method: 'volume-grow', id: expect.any(String) });
  const before = await entries();
  expect(before.map(shortOf)).toEqual(known);
  expect(before.map(({ changes }) => changes)).toEqual([
    ['there now'],
    ['sizeBytes: 16777216 -> 33554432'],
    ['name: oracle -> ledger'],
    [],
  ]);
  expect(before[3]!.why).toMatch(/^Client big-2 may not set limits of I\/O/);

  await server.kill('rssrv');
  await server.start('rssrv');
  expect(await entries()).toEqual(before);
  await server.rsadmWell('volume', 'stop', 'ledger');
  expect((await entries()).map(shortOf)).toEqual([...known, `${me} volume-stop ledger done`]);
  expect((await entries('--who', 'big-2', '--since', '1h')).map(shortOf)).toEqual(known.slice(1));
  // The entries before the new name are those of the same volume.
  expect((await entries('ledger')).map(shortOf)).toEqual([...known, `${me} volume-stop ledger done`]);
  expect((await entries('oracle@0')).map(shortOf)).toEqual(known.slice(0, 3));
  expect(await server.rsadmWell('audit', 'ledger')).toMatch(
    /client big-2 +volume-set ledger settings=\["iops=100"\] +E_RIGHTS: Client big-2/,
  );

  const folder = rssrvPaths(server.root).auditDir;
  for (const name of readdirSync(folder)) expect(statSync(path.join(folder, name)).mode & 0o077, name).toBe(0);
});

it('a client without the right admin sees nothing of it, and one with it sees the orders at all servers', async () => {
  const give = await startBoth('manage');
  await client.rsconfigWell('volume', 'create', 'oracle', '--size', '16m');
  const hidden = await client.rsconfig('audit');
  expect([hidden.code, hidden.stdout]).toEqual([1, '']);
  expect(hidden.stderr).toMatch(/may not .*admin is needed/);

  await give('admin');
  const shown = await client.rsconfigWell('audit');
  expect(await client.rsconfigWell('audit', 'osl:oracle@0')).toContain('volume-create oracle');
  expect(shown).toMatch(/^TIME +SERVER +WHO +ORDER +OUTCOME\n/);
  expect(shown).toMatch(/big-9 +client big-2 +volume-create oracle .* +done; there now\n/);
  expect(shown).toMatch(/reload +done; .*big-2.*\n$/);
  const json = JSON.parse(await client.rsconfigWell('audit', '--json')) as { servers: { server: string; entries: AuditEntry[] }[] };
  expect(json.servers.map((one) => [one.server, one.entries.length])).toEqual([['big-9', 2]]);
});

it('a reload by SIGHUP and the snapshots of a schedule have entries', async (context) => {
  const network = await hosts.network(2);
  const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
  mkdirSync(pool);
  await startServer(server, network, { volumes: {} });
  await server.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  process.kill(server.pid('rssrv'), 'SIGHUP');
  await expect.poll(async () => (await entries('--who', 'SIGHUP')).map(shortOf)).toEqual(['SIGHUP reload - done']);
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await server.rsadmWell('volume', 'set', 'oracle', 'snapshots=hourly keep 2');
  await expect
    .poll(async () => (await entries('oracle', '--who', 'schedule')).map(shortOf))
    .toEqual(['schedule volume-snapshot oracle done']);
});

it('no key, and no text of a configuration that is only checked, is in the audit', async () => {
  await startBoth('manage');
  const key = (await server.rsadmWell('client', 'add', 'mars-2')).trim();
  await server.rsadmWell('reload');
  await server.rsadmWell('check');
  const folder = rssrvPaths(server.root).auditDir;
  const text = readdirSync(folder)
    .map((name) => readFileSync(path.join(folder, name), 'utf8'))
    .join('');
  expect(key).toMatch(/^\S{16,}$/);
  expect(text).toContain('"order":"reload"');
  expect(text).not.toContain(key);
  expect(text).not.toContain('config-check');
});
