// Pools on a separate file system on a loop device. Writes wait while less space than the reserve of the pool is free, and continue when
// enough space is free again. A file system is unmounted while a client uses a volume on it. Skipped without root, loop devices or ext4.
// full-pool.test.ts has a file system without any space. Rules: G16.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { startFio } from '../support/io/fio.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { verifiedAndEnded } from '../support/io/volume-stats.ts';
import { needFio, needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1 << 20;
const WAIT_MS = 60_000;
const TEST_MS = 240_000;
const DISK_MIB = 64;
/** Size of a file that takes space on the file system of the pool. The remaining space does not suffice for the writes of the test. */
const BALLAST_MIB = 32;
const WRITTEN_MIB = 24;

const hosts = useHosts();
let host: Host;
let disk = '';
let mount = '';
let pool = '';

beforeEach(async (context) => {
  needFio(context);
  needTool(context, 'mkfs.ext4', 'e2fsprogs');
  host = hosts.host();
  disk = host.file('disk.img');
  mount = host.file('disk');
  pool = path.join(mount, 'pool');
  mkdirSync(mount);
  writeFileSync(disk, '');
  truncateSync(disk, DISK_MIB * MIB);
  context.skip(spawnSync('mkfs.ext4', ['-q', '-m', '0', disk], { stdio: 'ignore' }).status !== 0, 'needs mkfs.ext4');
  context.skip(mounted().status !== 0, 'needs the right to mount a loop device with ext4 (root)');
  mkdirSync(pool);
  const network = await hosts.network(1);
  host.writeConfig('rssrv', serverConfig(network, { volumes: {} }));
  await host.start('rssrv');
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '10%');
  await host.rsadmWell('volume', 'create', 'db', '--size', `${2 * DISK_MIB}m`);
  await host.rsadmWell('volume', 'create', 'log', '--size', '4m', '--thick');
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db', 'log');
});

afterEach(() => {
  // The unmount is lazy, because daemons of the test may still have files open.
  spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
  rmSync(disk, { force: true });
});

function mounted(): ReturnType<typeof spawnSync> {
  return spawnSync('mount', ['-o', 'loop', disk, mount], { stdio: 'ignore' });
}

async function poolNow() {
  const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
  return pools[0]!;
}

async function waits(name: string): Promise<boolean> {
  const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
  return volume.waitsForSpace;
}

async function openNbd(name: string): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${name}`);
  hosts.onClean(() => nbd.close());
  return nbd;
}

it('below the reserve, writes that need new space wait and all programs say so; others go on, and all end when there is room', {
  timeout: TEST_MS,
}, async () => {
  const ballast = path.join(mount, 'ballast');
  spawnSync('fallocate', ['-l', `${BALLAST_MIB}M`, ballast]);
  // Allocates these blocks while the pool still has enough space.
  const db = await openNbd('db');
  await db.write(DISK_MIB * MIB, Buffer.alloc(64 * 1024, 1));
  const fio = startFio(host, 'osl/db', { size: `${WRITTEN_MIB}m`, verifyBacklog: 64 });
  await waitFor(() => waits('db'), WAIT_MS, 'Writes wait for space');

  const short = await poolNow();
  expect(short).toMatchObject({ isShort: true, state: 'ready', usableBytes: 0 });
  expect(short.freeBytes).toBeGreaterThan(0);
  const status = await host.rsadm('status');
  expect(status.code).toBe(1);
  expect(status.stdout).toMatch(/Warning: Pool fast has less than its reserve free .*writes that need new space wait/);
  expect(status.stdout).toMatch(/Warning: Writes to volume db@0 wait for space in pool fast/);
  await host.logged('rssrv', /^Pool fast has \S+ free, less than its reserve of \S+: writes that need new space wait/m);
  await waitFor(
    async () => (await host.rsconfigWell('-m', 'status', '-v')).includes('space on server big-9'),
    WAIT_MS,
    'The client says what its I/O waits for',
  );
  // Writes to allocated blocks, writes to a thick volume, and flushes do not wait.
  await db.write(DISK_MIB * MIB, Buffer.alloc(64 * 1024, 2));
  const log = await openNbd('log');
  await log.write(0, Buffer.alloc(MIB, 3));
  await log.flush();
  expect([await waits('db'), await waits('log')]).toEqual([true, false]);
  await expect(host.rsadmWell('volume', 'create', 'more', '--size', '8m', '--thick')).rejects.toThrow(/E_SPACE/);

  rmSync(ballast);
  await waitFor(async () => !(await waits('db')), WAIT_MS, 'Writes have space');
  await waitFor(() => host.log('rssrv').includes('no write waits for it'), WAIT_MS, 'The log says so');
  expect((await verifiedAndEnded(host, 'osl:db@0', fio)).verifyReads).toBeGreaterThan(0);
  expect(await db.read(DISK_MIB * MIB, 64 * 1024)).toEqual(Buffer.alloc(64 * 1024, 2));
});

it('a file system that is unmounted under use: nothing is created in the mount point, and all is there after a mount and a reload', {
  timeout: TEST_MS,
}, async () => {
  const db = await openNbd('db');
  await db.write(0, Buffer.alloc(4096, 7));
  expect(spawnSync('umount', ['--lazy', mount]).status).toBe(0);
  const refused = await host.rsadm('volume', 'create', 'lost', '--size', '1m');
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/pool\.json is not the file that was opened: mount the file system/),
  ]);
  expect(readdirSync(mount)).toEqual([]);
  // The open volume still uses its unmounted file system.
  expect(await db.read(0, 4096)).toEqual(Buffer.alloc(4096, 7));
  await host.stop('rssrv');
  await host.start('rssrv');
  expect(readdirSync(mount)).toEqual([]);
  expect(await poolNow()).toMatchObject({ state: 'unavailable', reason: expect.stringContaining('pool.json does not exist') as string });
  expect((await host.rsadm('status')).stdout).toMatch(/Warning: Pool fast cannot be used: .*pool\.json does not exist/);
  expect(mounted().status).toBe(0);
  await host.rsadmWell('reload');
  expect(await poolNow()).toMatchObject({ state: 'ready', volumes: 2 });
  expect(await db.read(0, 4096)).toEqual(Buffer.alloc(4096, 7));
});
