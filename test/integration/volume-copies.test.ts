// Copies of a volume with real daemons, from a pool on XFS, while a client has the volume attached: copies to a new volume, while the
// server is killed; copies to files, which qemu-img writes as an unprivileged user, again with a kill of the server; and copies to the NBD
// sockets of qemu-nbd and of rsiod. Each copy is compared with the snapshot. Skipped without root, loop devices, xfsprogs or qemu-utils.
// Unit tests in packages/rssrv/src/jobs/copies cover stops after each step. Rules: G30.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { JobView } from '@rsio/api/views/views';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeEach, expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, runWell, start as startProgram } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1024 ** 2;
const SIZE_BYTES = 16 * MIB;
const DATA_BYTES = 4 * MIB;
const WAIT_MS = 60_000;
const TEST_MS = 300_000;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;
let fast: string;
let slow: string;

beforeEach(async () => {
  host = hosts.host();
  network = await hosts.network(1);
});

/**
 * Starts a server with a pool on XFS and a second pool elsewhere, and a client that has attached a volume of the first pool and written to
 * it.
 */
async function start(context: TestContext, user?: string): Promise<NbdIo> {
  fast = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(fast);
  slow = await emptyPool(host);
  await startServer(host, network, { volumes: {}, rights: { 'big-2': 'manage' }, ...(user === undefined ? {} : { server: { user } }) });
  await host.rsadmWell('pool', 'add', 'fast', fast, '--reserve', '0%');
  await host.rsadmWell('pool', 'add', 'slow', slow, '--reserve', '0%');
  await host.rsadmWell('volume', 'create', 'db', '--size', `${SIZE_BYTES / MIB}m`, '--pool', 'fast');
  host.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a', 'db');
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/db');
  hosts.onClean(() => nbd.close());
  for (let offset = 0; offset < DATA_BYTES; offset += MIB) await nbd.write(offset * 2, Buffer.alloc(MIB, offset / MIB + 1));
  await nbd.flush();
  return nbd;
}

/** Returns the path of the data file of a volume. */
function dataOf(pool: string, name: string): string {
  const folder = path.join(pool, 'volumes');
  const id = readdirSync(folder).find((one) => readFileSync(path.join(folder, one, 'volume.json'), 'utf8').includes(`"name": "${name}"`));
  return path.join(folder, id ?? 'none', 'data');
}

/** Returns the path of the data file of a snapshot of volume db. */
function snapshotOf(name: string): string {
  return path.join(path.dirname(dataOf(fast, 'db')), 'snapshots', `${name}.data`);
}

async function isSame(format: string, file: string): Promise<void> {
  const compared = await runWell('qemu-img', ['compare', '-U', '-f', 'raw', '-F', format, snapshotOf('monday'), file], {
    timeoutMs: WAIT_MS,
  });
  expect(compared).toContain('Images are identical.');
}

/** Pid of the qemu-img that a process has started. */
function programOf(parent: number): number | null {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The second field is the name, and the fourth the parent.
      const [, program, ppid] = /^\d+ \((.*)\) . (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      if (program === 'qemu-img' && Number(ppid) === parent) return Number(name);
    } catch {
      // Ignores the error: the process has ended.
    }
  }
  return null;
}

/**
 * Requests a copy. Returns false if the server refuses the copy, because the client has not yet replayed writes that the killed server may
 * have lost.
 */
async function isCopied(host: Host, name: string, file: string): Promise<boolean> {
  const { code, stderr } = await host.rsadm('volume', 'copy', name, file, '--wait');
  if (code !== 0) expect(stderr).toContain(`has not yet sent again the last writes of volume ${name}`);
  return code === 0;
}

async function jobs(): Promise<JobView[]> {
  return (JSON.parse(await host.rsadmWell('jobs', '--json')) as { jobs: JobView[] }).jobs;
}

it('a volume is copied to another pool, over a kill of the server, and the copy is of one moment', {
  timeout: TEST_MS,
}, async (context) => {
  const nbd = await start(context);
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  await host.rsadmWell('volume', 'copy', 'db', 'new', '--limit', '1m', '--background');
  await waitFor(async () => (await jobs())[0]!.doneBytes > 0, WAIT_MS, 'The copy runs');
  // This write begins after the moment of the copy. The copy must not contain this write.
  await nbd.write(0, Buffer.alloc(MIB, 99));
  await host.kill('rssrv');
  await host.start('rssrv');
  await host.rsadmWell('jobs', 'limit', '1', 'none');
  await waitFor(async () => (await jobs())[0]!.endedMs !== null, WAIT_MS, 'The copy ends');
  expect((await jobs())[0]).toMatchObject({ kind: 'copy', state: 'done', newName: 'new', to: 'slow', afterRestart: 'goes on' });
  const copy = dataOf(slow, 'new');
  expect(readFileSync(copy).equals(readFileSync(snapshotOf('monday')))).toBe(true);
  // Unwritten blocks take no space.
  expect(statSync(copy).blocks * 512).toBeLessThanOrEqual(DATA_BYTES + MIB);
  expect(readdirSync(path.dirname(snapshotOf('monday'))).filter((name) => name.startsWith('copy-'))).toEqual([]);
  expect(readdirSync(path.join(slow, 'moving'))).toEqual([]);
  // A client copies a snapshot and attaches the copy. The path of the client must first come up again after the kill.
  await host.pathsUp(1);
  await host.rsconfigWell('volume', 'copy', 'db@monday', 'third', '--pool', 'slow', '--wait');
  await host.rsconfigWell('-a', 'third');
  const third = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/third');
  hosts.onClean(() => third.close());
  expect((await third.read(0, MIB)).equals(Buffer.alloc(MIB, 1))).toBe(true);
});

it('files and NBD servers get a copy by qemu-img, which has no rights, and it starts over after a kill', {
  timeout: TEST_MS,
}, async (context) => {
  for (const program of ['qemu-img', 'qemu-nbd']) needTool(context, program, 'qemu-utils');
  needPrograms(context, 'setpriv');
  await start(context, 'nobody');
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  const backup = host.file('backup');
  mkdirSync(backup, { mode: 0o700 });
  const qcow2 = path.join(backup, 'db.qcow2');
  await host.rsadmWell('volume', 'copy', 'db', qcow2, '--limit', '64k', '--background');
  await waitFor(() => programOf(host.pid('rssrv')) !== null, WAIT_MS, 'The copy runs');
  const program = programOf(host.pid('rssrv'))!;
  expect(readFileSync(`/proc/${program}/status`, 'utf8')).toMatch(/^Uid:\s65534\s65534\s65534\s65534$/m);
  // qemu-img ends with the server, and the next server deletes the temporary file.
  await host.kill('rssrv');
  await waitFor(() => !existsSync(`/proc/${program}`), WAIT_MS / 2, 'qemu-img ends');
  const [left] = readdirSync(backup);
  await host.start('rssrv');
  await waitFor(() => programOf(host.pid('rssrv')) !== null, WAIT_MS, 'The copy starts over');
  expect(readdirSync(backup)).not.toContain(left);
  expect((await jobs())[0]).toMatchObject({ state: 'running', target: 'file', to: qcow2, afterRestart: 'starts over' });
  await host.rsadmWell('jobs', 'cancel', '1');
  await waitFor(async () => (await jobs())[0]!.endedMs !== null, WAIT_MS, 'The copy ends');
  expect([(await jobs())[0]!.state, readdirSync(backup), programOf(host.pid('rssrv'))]).toEqual(['cancelled', [], null]);
  await waitFor(() => isCopied(host, 'db', qcow2), WAIT_MS, 'The client is back since the kill, and the volume is copied');
  expect(readdirSync(backup)).toEqual(['db.qcow2']);
  await isSame('qcow2', qcow2);
  const raw = path.join(backup, 'db.raw');
  await host.rsadmWell('volume', 'copy', 'db@monday', raw, '--wait');
  await isSame('raw', raw);
  expect(statSync(raw)).toMatchObject({ size: SIZE_BYTES, uid: 0, mode: 0o100600 });
  expect(statSync(raw).blocks * 512).toBeLessThanOrEqual(DATA_BYTES + MIB);
  expect(statSync(snapshotOf('monday')).mode).toBe(0o100400);
  const again = await host.rsadm('volume', 'copy', 'db@monday', raw, '--wait');
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining(`${raw} exists: give another name, or --force to replace it`)]);
  await host.rsadmWell('volume', 'copy', 'db@monday', raw, '--force', '--wait');
  // Copies to the NBD server qemu-nbd, and then to the NBD socket of rsiod on this machine.
  const image = host.file('target.raw');
  writeFileSync(image, Buffer.alloc(SIZE_BYTES, 77));
  const socket = host.file('nbd');
  const server = startProgram('qemu-nbd', ['--socket', socket, '--format', 'raw', '--discard', 'unmap', '--export-name', 'a, b', image], {
    timeoutMs: WAIT_MS,
  });
  hosts.onClean(() => server.kill());
  await waitFor(() => existsSync(socket), WAIT_MS, 'qemu-nbd listens');
  await host.rsadmWell('volume', 'copy', 'db@monday', `nbd+unix:///a,%20b?socket=${socket}`, '--wait');
  await isSame('raw', image);
  expect(statSync(image).blocks * 512).toBeLessThanOrEqual(DATA_BYTES + MIB);
  await host.rsadmWell('volume', 'create', 'there', '--size', `${SIZE_BYTES / MIB}m`, '--pool', 'slow');
  await host.rsconfigWell('-a', 'there');
  await host.rsadmWell('volume', 'copy', 'db@monday', `nbd+unix:///osl/there?socket=${host.rsiodPaths.nbdSocket}`, '--wait');
  await isSame('raw', dataOf(slow, 'there'));
  const refused = await host.rsadm('volume', 'copy', 'db@monday', 'nbd://127.0.0.1:1/x', '--wait');
  expect(refused.stderr).toMatch(/The NBD server of nbd:\/\/127.0.0.1:1\/x cannot be reached/);
  // Imports all these copies again. qemu-img imports qcow2 files and NBD exports. A raw file on the file system of the pool is cloned,
  // which takes no space.
  const beside = path.join(path.dirname(fast), 'beside.raw');
  copyFileSync(raw, beside);
  execFileSync('sync', ['-f', beside]);
  const freeBytes = (): number => statfsSync(fast).bsize * statfsSync(fast).bfree;
  const before = freeBytes();
  await host.rsadmWell('volume', 'import', beside, 'cloned', '--wait');
  await isSame('raw', dataOf(fast, 'cloned'));
  expect(before - freeBytes()).toBeLessThan(DATA_BYTES / 2);
  await host.rsadmWell('volume', 'import', raw, 'copied', '--pool', 'slow', '--wait');
  await host.rsadmWell('volume', 'import', qcow2, 'unpacked', '--pool', 'slow', '--wait');
  await host.rsadmWell(
    'volume',
    'import',
    `nbd+unix:///osl/there?socket=${host.rsiodPaths.nbdSocket}`,
    'fetched',
    '--pool',
    'slow',
    '--wait',
  );
  for (const name of ['copied', 'fetched']) await isSame('raw', dataOf(slow, name));
  expect(statSync(dataOf(slow, 'copied')).blocks * 512).toBeLessThanOrEqual(DATA_BYTES + MIB);
  expect(statSync(dataOf(slow, 'unpacked'))).toMatchObject({ size: SIZE_BYTES, uid: 0 });
  await runWell('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', dataOf(slow, 'unpacked'), qcow2]);
  const snapshots = readdirSync(path.dirname(snapshotOf('monday')));
  expect(snapshots.filter((name) => name.startsWith('copy-'))).toEqual([]);
});
