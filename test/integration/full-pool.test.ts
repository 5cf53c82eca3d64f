// A pool becomes full under a verifying load. Writes wait instead of failing, all status outputs say so, and after the file system has
// grown, the load ends without a wrong block. The server can be stopped and the volume detached by force while writes wait. The file system
// is a tmpfs, which can be enlarged while it is mounted; skipped without the right to mount one. Both tests of this file use the same
// daemons. Rules: G16.

import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { callServer } from '@rsio/api/rssrv/call-server';
import { afterAll, beforeEach, expect, it, type TestContext } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { startFio } from '../support/io/fio.ts';
import { verifiedAndEnded } from '../support/io/volume-stats.ts';
import { needFio } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 30_000;
const TEST_MS = 300_000;
const MIB = 1 << 20;

/** Number of writes of fio. After every 64 writes, fio reads them back. */
const WRITES = 400;

const hosts = useHosts('file');
let host: Host;
let pool = '';
let begun: Promise<void> | undefined;

beforeEach(async (context) => {
  needFio(context);
  begun ??= begin(context);
  await begun;
});

async function begin(context: TestContext): Promise<void> {
  host = hosts.host();
  pool = host.file('pool');
  mkdirSync(pool, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'rsio-test', pool], { stdio: 'ignore' });
  context.skip(mounted.status !== 0, 'needs the right to mount (root, CAP_SYS_ADMIN)');
  // The test makes the folders of the pool itself, because `rsadm pool add` refuses a file system in memory.
  for (const folder of ['volumes', 'removed']) mkdirSync(`${pool}/${folder}`);
  writeFileSync(`${pool}/pool.json`, JSON.stringify({ version: 1, id: '00000000-0000-4000-8000-00000000000b', createdMs: 0 }));
  const network = await hosts.network(1);
  host.writeConfig('rssrv', `${serverConfig(network, { volumes: {} })}\n[pool fast]\npath = ${pool}\nreserve = 0%\n`);
  await host.start('rssrv');
  await create('db', 64 * MIB);
  await create('old', MIB);
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db');
}

afterAll(() => {
  // The unmount is lazy, because daemons of the tests may still have files open.
  spawnSync('umount', ['--lazy', pool], { stdio: 'ignore' });
  rmSync(pool, { recursive: true, force: true });
});

async function create(name: string, sizeBytes: number): Promise<void> {
  await callServer(host.rssrvPaths.controlSocket, 'volume-create', {
    name,
    universe: 0,
    sizeBytes,
    blockSizeBytes: 512,
    pool: null,
    thick: false,
    readonly: false,
    shared: false,
    clients: null,
    takeOver: null,
    takeOverForce: false,
    request: null,
  });
}

async function waitsForSpace(): Promise<boolean> {
  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  return volume.waitsForSpace;
}

it('writes wait, the log and the list say so, also over a restart, and the load ends without a wrong block when the pool has grown', {
  timeout: TEST_MS,
}, async () => {
  const fio = startFio(host, 'osl/db', { size: '40m', verifyBacklog: 64 });
  await waitFor(waitsForSpace, WAIT_MS, 'Writes wait for space');
  const said = /^Volume db: its pool is full or has less than its reserve free, and writes wait until there is space/m;
  await host.logged('rssrv', said);
  const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
  expect(pools[0]?.freeBytes).toBeLessThan(MIB);
  // A server that stops while writes wait does not hang.
  await host.stop('rssrv');
  await host.start('rssrv');
  await waitFor(waitsForSpace, WAIT_MS, 'The writes wait again, in the new session');
  // The server refuses to create a volume, because the pool has no room for the manifest of the volume. No part of the volume remains.
  await expect(create('other', 8 * MIB)).rejects.toThrow(`Pool fast at ${pool} cannot be changed (ENOSPC): free space there`);
  expect(readdirSync(`${pool}/volumes`)).toHaveLength(2);
  // Changes that free space are possible although the pool is full.
  await host.rsadmWell('volume', 'remove', 'old', '--yes');
  expect(await host.rsadmWell('volume', 'purge', '--yes')).toBe('old@0, 1.0M, deleted for good from pool fast\n');
  expect(readdirSync(`${pool}/removed`)).toHaveLength(0);
  expect(spawnSync('mount', ['-o', 'remount,size=96m', pool]).status).toBe(0);
  await waitFor(async () => !(await waitsForSpace()), WAIT_MS, 'Writes have space');
  await waitFor(() => host.log('rssrv').includes('Volume db: no write waits for space any more'), WAIT_MS, 'The log says so');
  expect((await verifiedAndEnded(host, 'osl:db@0', fio, WRITES)).verifyReads).toBeGreaterThan(0);
});

it('a detach by force ends the waiting writes', { timeout: TEST_MS }, async () => {
  const { blocks, bfree, bsize } = statfsSync(pool);
  const sizeBytes = (blocks - bfree) * bsize + MIB;
  expect(spawnSync('mount', ['-o', `remount,size=${sizeBytes}`, pool]).status).toBe(0);
  // This load writes a larger part of the volume than the other test has written, and therefore needs new space.
  const fio = startFio(host, 'osl/db', { size: '64m', verifyBacklog: 64 });
  await waitFor(waitsForSpace, WAIT_MS, 'Writes wait for space');
  await host.rsconfigWell('-d', 'db', '--force');
  await waitFor(async () => !(await waitsForSpace()), WAIT_MS, 'No write waits');
  await expect(fio.outcome).rejects.toThrow();
});
