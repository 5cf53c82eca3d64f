// Volumes over several pools with real daemons: fio with verification on a stripe that grows, a restart in the middle, a pool that is
// absent at the start and comes back, a part that was replaced by another file, and a concat that grows into a third pool.
// several-files.test.ts in packages/rssrv/src/pools tests the steps of each change on disk. All tests use one server and one client, and
// each test begins with empty pools. Rules: G19.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { beforeEach, expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { removedWhenFree } from '../support/hosts/removed-when-free.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { startFio } from '../support/io/fio.ts';
import { verifiedAndEnded } from '../support/io/volume-stats.ts';
import { needFio } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 30_000;
const TEST_MS = 300_000;

/** Number of writes of fio. After every 64 writes, fio reads them back. */
const WRITES = 400;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let pools: Record<string, { path: string }>;
let begun: Promise<void> | undefined;

beforeEach(async (context) => {
  needFio(context);
  begun ??= begin();
  await begun;
  if (server.processes().length === 0) await server.start('rssrv');
  await client.pathsUp(1, WAIT_MS);
  await client.rsconfig('-d', '--force');
  const { volumes } = JSON.parse(await server.rsadmWell('volume', 'list', '--json')) as { volumes: { name: string }[] };
  for (const { name } of volumes) await removedWhenFree(server, name);
  await server.rsadm('volume', 'purge', '--yes');
});

async function begin(): Promise<void> {
  server = hosts.host();
  client = hosts.host();
  const network = await hosts.network(1);
  pools = {};
  for (const name of ['a', 'b', 'c']) pools[name] = { path: await emptyPool(server, name) };
  await startServer(server, network, { volumes: {}, pools });
  await startClient(client, network);
}

const poolPath = (name: string): string => pools[name]?.path ?? '';

async function attached(...layout: string[]): Promise<void> {
  await server.rsadmWell('volume', 'create', 'db', '--size', '16m', ...layout);
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('db'), WAIT_MS, 'The client sees db');
  await client.rsconfigWell('-a', 'db');
}

/** Returns the only file of the part in this pool. */
function partFile(name: string): string {
  const [folder = ''] = readdirSync(path.join(poolPath(name), 'parts'));
  return path.join(poolPath(name), 'parts', folder, 'data');
}

async function isServed(): Promise<boolean> {
  return (await server.rsadmWell('volume', 'show', 'db')).includes('state:     served');
}

it('a stripe keeps every block while it grows under load, over a restart, and without one of its pools for a time', {
  timeout: TEST_MS,
}, async () => {
  await attached('--stripe', '64k', '--pools', 'a,b');
  expect(await server.rsadmWell('volume', 'show', 'db')).toMatch(
    /layout: {4}stripe of 2 files, chunks of 64k\n.*8\.0M in pool a\n.*8\.0M in pool b\n/,
  );
  const fio = startFio(client, 'osl/db', { size: '16m', verifyBacklog: 64 });
  for (const size of ['24m', '32m', '48m']) await server.rsadmWell('volume', 'grow', 'db', size);
  await server.stop('rssrv');
  await server.start('rssrv');
  await server.stop('rssrv');
  renameSync(poolPath('b'), `${poolPath('b')}.away`);
  await server.start('rssrv');
  const shown = await server.rsadmWell('volume', 'show', 'db');
  expect(shown).toMatch(
    /state: {5}unavailable: Volume db: pool id [-0-9a-f]+, which has a file of the volume, is not open \(not open: b\)/,
  );
  renameSync(`${poolPath('b')}.away`, poolPath('b'));
  await server.rsadmWell('reload');
  await waitFor(isServed, WAIT_MS, 'The volume is served again');
  expect((await verifiedAndEnded(client, 'osl:db@0', fio, WRITES)).verifyReads).toBeGreaterThan(0);
  expect(await server.rsadmWell('pool', 'check', 'b')).toContain('nothing unexplained');
});

it('a concat goes on in another pool, and the client sees the new size', { timeout: TEST_MS }, async () => {
  await attached('--concat', '--pools', 'a,b');
  const inUse = await server.rsadm('volume', 'grow', 'db', '24m', '--pool', 'c');
  expect([inUse.code, inUse.stderr]).toEqual([1, expect.stringContaining('Volume db of pool a changes its files, but node')]);
  expect(readdirSync(poolPath('c'))).not.toContain('parts');
  await server.rsadmWell('volume', 'grow', 'db', '20m');
  await waitFor(() => client.rsconfigWell('-d', 'db'), WAIT_MS, 'db is detached');
  await waitFor(() => server.rsadmWell('volume', 'grow', 'db', '32m', '--pool', 'c'), WAIT_MS, 'db grows in pool c');
  await client.rsconfigWell('-a', 'db');
  expect(readdirSync(path.join(poolPath('c'), 'parts'))).toHaveLength(1);
  const fio = startFio(client, 'osl/db', { size: '32m', verifyBacklog: 64 });
  expect((await verifiedAndEnded(client, 'osl:db@0', fio, WRITES)).verifyReads).toBeGreaterThan(0);
});

it('a held volume is not served with a file that another one has replaced, until the administrator confirms it', {
  timeout: TEST_MS,
}, async () => {
  await attached('--stripe', '64k', '--pools', 'a,b');
  await server.stop('rssrv');
  const file = partFile('b');
  copyFileSync(file, `${file}.copy`);
  renameSync(`${file}.copy`, file);
  await server.start('rssrv');
  const shown = await server.rsadmWell('volume', 'show', 'db');
  expect(shown).toContain(`${file} is not the file or device that it was last served from`);
  const [, stamp = ''] = /same-content=(\S+)/.exec(shown) ?? [];
  await server.rsadmWell('volume', 'set', 'db', `same-content=${stamp}`);
  await waitFor(isServed, WAIT_MS, 'The volume is served again');
});

it('writes wait while one of the pools is full, the server says which one, and no block is wrong afterwards', {
  timeout: TEST_MS,
}, async (context) => {
  await server.stop('rssrv');
  const full = poolPath('b');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'rsio-test', full], { stdio: 'ignore' });
  context.skip(mounted.status !== 0, 'needs the right to mount (root, CAP_SYS_ADMIN)');
  hosts.onClean(() => void spawnSync('umount', ['--lazy', full], { stdio: 'ignore' }));
  for (const folder of ['volumes', 'removed']) mkdirSync(path.join(full, folder));
  writeFileSync(path.join(full, 'pool.json'), JSON.stringify({ version: 1, id: crypto.randomUUID(), createdMs: 0 }));
  await server.start('rssrv');
  await client.pathsUp(1, WAIT_MS);
  await attached('--stripe', '64k', '--pools', 'a,b');
  await server.rsadmWell('volume', 'grow', 'db', '48m');
  const fio = startFio(client, 'osl/db', { size: '32m', verifyBacklog: 64 });
  const shown = async (): Promise<{ readonly waitsForSpace: boolean; readonly fullPool: string | null }> =>
    (await callServer(server.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 })).volume;
  await waitFor(async () => (await shown()).waitsForSpace, WAIT_MS, 'Writes wait for space');
  expect((await shown()).fullPool).toBe('b');
  await server.logged('rssrv', /^Volume db: pool b is full or has less than its reserve free, and writes wait/m);
  expect(spawnSync('mount', ['-o', 'remount,size=96m', full]).status).toBe(0);
  await waitFor(async () => !(await shown()).waitsForSpace, WAIT_MS, 'Writes have space');
  expect((await verifiedAndEnded(client, 'osl:db@0', fio, WRITES)).verifyReads).toBeGreaterThan(0);
});
