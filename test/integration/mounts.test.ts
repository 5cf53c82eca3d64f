// Files out of yesterday, with real daemons and the block devices of attached snapshots: `rsconfig mount` shows the old content of XFS and
// ext4 whose journals are dirty, of partitions and of backups, byte for byte, and `rsconfig umount` leaves nothing behind, also after a
// half-done end, a restart of rsiod and an unmount by hand. Skipped without devices, the file systems, or the programs of qemu and libnbd.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, type TestContext } from 'vitest';
import { DeviceHost, needDevices } from '../support/devices/devices.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import { placeSnapshot } from '../support/hosts/placed-snapshot.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 30_000;
const TEST_MS = 300_000;
const LINES = 40_000;
const [ROUNDS, LATER_MS] = [10, 60];

const hosts = useHosts('file');
let devices: DeviceHost;
let host: Host;
let begun: Promise<void> | undefined;

/** Volumes with file systems whose file `list` is on disk, and whose file `late` is only in the journal when the snapshot monday is made. */
async function begin(context: TestContext): Promise<void> {
  needDevices(context);
  needTool(context, 'mkfs.xfs', 'xfsprogs');
  needTool(context, 'mkfs.ext4', 'e2fsprogs');
  needTool(context, 'nbdfuse', 'libnbd-bin');
  needTool(context, 'qemu-nbd', 'qemu-utils');
  needTool(context, 'sfdisk', 'fdisk');
  begun ??= start();
  await begun;
}

async function start(): Promise<void> {
  devices = new DeviceHost(hosts);
  ({ host } = devices);
  await devices.ready;
  const network = await hosts.network(1);
  const pool = await emptyPool(host);
  await startServer(host, network, { volumes: {}, pools: { fast: { path: pool } } });
  for (const [name, size] of [
    ['xfs', '320m'],
    ['ext', '64m'],
    ['parts', '64m'],
    ['raw', '8m'],
  ] as const)
    await host.rsadmWell('volume', 'create', name, '--size', size);
  await startClient(host, network, { defaults: { device: 'block' } });
  await host.rsconfigWell('-a');
  await devices.well('mkfs.xfs -q "$1"; mkfs.ext4 -q "$2"', device('xfs'), device('ext'));
  const layout = String.raw`printf "label: gpt\n,16M\n,24M\n,8M,S\n" | sfdisk -q "$1"`;
  await devices.well(
    `${layout}; mkfs.ext4 -q -E offset=$((34816*512)) "$1" 24m; mkfs.ext4 -q -E offset=$((2048*512)) "$1" 16m`,
    device('parts'),
  );
  for (const name of ['xfs', 'ext']) {
    // A sync of the device alone writes the log, and leaves what it describes in memory.
    await devices.well('mkdir -p "$2"; mount "$1" "$2"; seq "$3" > "$2/list"; sync -f "$2"', device(name), folder(name), String(LINES));
    await devices.well('seq 100 > "$1/late"; sync "$1/late"', folder(name));
  }
  await host.stop('rssrv');
  for (const name of ['xfs', 'ext', 'parts', 'raw']) placeSnapshot(pool, name, 'monday');
  await host.start('rssrv');
  await host.pathsUp(1, WAIT_MS);
  for (const name of ['xfs', 'ext']) await devices.well('seq 7 > "$1/list"; rm "$1/late"; sync -f "$1"', folder(name));
}

function device(name: string): string {
  return path.join(host.root, 'dev/av0', name);
}

function folder(name: string): string {
  return path.join(host.root, 'mnt', name);
}

async function refusal(...args: readonly string[]): Promise<string> {
  const { code, stderr } = await host.rsconfig(...args);
  expect(code, stderr).not.toBe(0);
  return stderr;
}

function target(name: string): string {
  return path.dirname(host.file(`yesterday/${name}/x`));
}

/** Reads what the volume had yesterday, below the directory. */
async function readYesterday(directory: string): Promise<void> {
  expect(await devices.well('seq "$2" | cmp - "$1/list" && seq 100 | cmp - "$1/late" && echo same', directory, String(LINES))).toBe(
    'same\n',
  );
  expect((await devices.shell('touch "$1/new"', directory)).stderr).toContain('Read-only file system');
  expect(await devices.well('findmnt --noheadings --output VFS-OPTIONS "$1"', directory)).toMatch(/^ro,nosuid,nodev\b/);
}

function processName(pid: number): string {
  const file = `/proc/${pid}/comm`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

async function expectNothingLeft(): Promise<void> {
  expect(devices.mounts().filter((place) => /yesterday|images/.test(place))).toEqual([]);
  expect(await host.rsconfigWell('-l')).not.toContain('@monday');
  const images = path.join(host.rsiodPaths.runDir, 'images');
  expect(existsSync(images) ? readdirSync(images) : []).toEqual([]);
  expect(await devices.well('losetup --noheadings --output BACK-FILE')).not.toContain('images/');
  expect(JSON.parse(await host.rsconfigWell('mount', '--json'))).toEqual({ mounts: [] });
}

it.for(['xfs', 'ext'])(
  'reads a file of yesterday from %s, whose journal is dirty, beside its mounted volume',
  { timeout: TEST_MS },
  async (name, context) => {
    await begin(context);
    const directory = target(name);
    await host.rsconfigWell('mount', `${name}@monday`, directory, '--json');
    await readYesterday(directory);
    const { mounts } = JSON.parse(await host.rsconfigWell('mount', '--json')) as { mounts: object[] };
    const type = name === 'ext' ? 'ext4' : 'xfs';
    expect(mounts).toEqual([{ directory, source: `osl:${name}@0@monday`, type, partition: null, journal: 'replayed', state: 'mounted' }]);
    expect(devices.mounts().filter((place) => place.includes('images'))).toEqual([]);
    expect(await refusal('mount', 'raw@monday', directory)).toContain('has a mount of rsconfig');
    await devices.well('seq 7 | cmp - "$1/list"; test ! -e "$1/late"', folder(name));
    await host.rsconfigWell('umount', directory);
    await expectNothingLeft();
  },
);

it('names what cannot be mounted, and leaves nothing of the attempt', { timeout: TEST_MS }, async (context) => {
  await begin(context);
  const directory = target('refused');
  expect(await refusal('mount', 'raw@monday', directory)).toContain('has no file system, but nothing that blkid knows');
  expect(await refusal('mount', 'xfs@sunday', directory)).toContain('no snapshot sunday');
  expect(await refusal('mount', 'xfs', directory)).toMatch(/is attached read-write: detach it first/);
  expect(await refusal('mount', 'ext@monday', directory, '--partition', '1')).toContain('has no partitions');
  expect(await refusal('mount', 'ext@monday', `${directory}/none`)).toContain('There is no directory');
  expect(await refusal('mount', 'ext@monday', host.root)).toMatch(/would hide .*, \.\.\./);
  expect(await refusal('mount', 'ext@monday', folder('ext'))).toContain('is mounted at');
  expect(await refusal('umount', folder('ext'))).toContain('is of rsconfig mount: see');
  await expectNothingLeft();
});

it('lists the partitions, and mounts the one that is named', { timeout: TEST_MS }, async (context) => {
  await begin(context);
  const directory = target('parts');
  expect(await refusal('mount', 'parts@monday', directory)).toMatch(
    /its partitions are 1: ext4, 16.*; 2: ext4, 24.*; 3: nothing that blkid knows, 8/,
  );
  expect(await refusal('mount', 'parts@monday', directory, '--partition', '3')).toContain('Partition 3 of parts@monday has no file system');
  await expectNothingLeft();
  expect(await host.rsconfigWell('mount', 'parts@monday', directory, '--partition', '2')).toContain('partition 2, ext4, journal clean');
  expect(Number(await devices.well('df --block-size=1M --output=size "$1" | tail -1', directory))).toBeGreaterThan(16);
  await host.rsconfigWell('umount', directory);
  await expectNothingLeft();
});

it('reads a file out of a backup, whose server ends by itself if the file system is unmounted by hand', {
  timeout: TEST_MS,
}, async (context) => {
  await begin(context);
  const [directory, backups] = [target('backup'), path.dirname(host.file('backups/x'))];
  await host.rsconfigWell('backup', 'ext@monday', backups);
  const file = path.join(backups, readdirSync(backups).find((one) => one.endsWith('.qcow2')) ?? '');
  for (const end of ['rsconfig', 'by hand']) {
    await host.rsconfigWell('mount', file, directory);
    await readYesterday(directory);
    expect(await host.rsconfigWell('mount')).toContain(file);
    if (end === 'by hand') {
      await devices.well('umount "$1"', directory);
      await waitFor(() => host.processes().every((pid) => processName(pid) !== 'nbdfuse'), WAIT_MS, 'The image server ends');
      expect(await host.rsconfigWell('mount')).toContain('ended');
    }
    await host.rsconfigWell('umount', directory);
    await expectNothingLeft();
  }
  await devices.well('echo x >> "$1"', file);
  expect(await refusal('mount', file, directory)).toContain('is longer');
  await expectNothingLeft();
});

it('finishes an end that was refused because of a user, keeps what others have, and mounts once for two commands', {
  timeout: TEST_MS,
}, async (context) => {
  await begin(context);
  const directory = target('busy');
  const both = await Promise.all([1, 2].map(() => host.rsconfig('mount', 'parts@monday', directory, '--partition', '1')));
  expect(both.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b))).toEqual([0, 1]);
  await host.rsconfigWell('-a', 'parts@monday');
  const user = devices.well('cd "$1"; exec sleep 30', directory).catch(() => undefined);
  const named = async (): Promise<RegExpExecArray | null> => /it is used by sleep \((\d+)\)/.exec(await refusal('umount', directory));
  const [, pid] = await waitFor(named, WAIT_MS, 'The user is named');
  expect((await host.rsadm('volume', 'remove', 'parts@monday', '--yes')).stderr).toMatch(/parts@monday is (?:attached|in use)/);
  process.kill(Number(pid));
  await user;
  await host.kill('rsiod');
  await host.start('rsiod');
  await waitFor(async () => (await host.rsconfig('umount', directory)).code === 0, WAIT_MS, 'The end is finished');
  expect(await host.rsconfigWell('-l')).toContain('parts@0@monday');
  await host.rsconfigWell('-d', 'parts@monday');
  await expectNothingLeft();
});

it('never unmounts what is mounted instead', { timeout: TEST_MS }, async (context) => {
  await begin(context);
  const directory = target('other');
  await host.rsconfigWell('mount', 'ext@monday', directory);
  await devices.well('umount "$1"; mount -t tmpfs none "$1"', directory);
  const { code, stderr } = await host.rsconfig('umount', directory);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('Something else is mounted') });
  await devices.well('umount "$1"', directory);
  await expectNothingLeft();
});

it('mounts without the journal, and says so, if there are no programs for an image', { timeout: TEST_MS }, async (context) => {
  await begin(context);
  const directory = target('skips');
  const programs = await devices.well('mkdir "$1"; ln -s "$(command -v node)" "$(command -v env)" "$1"; echo "$1"', host.file('bin'));
  const command = host.commandLine('rsconfig', ['mount', 'ext@monday', directory]).slice(devices.command.length);
  const said = await devices.well('PATH="$1"; export PATH; shift; "$@" 2>&1', programs.trim(), ...command);
  expect(said).toMatch(/journal of osl:ext@0@monday is not replayed, .*nbdfuse cannot show the image .*: install libnbd-bin/);
  expect(said).toContain('ext4, journal skipped');
  await devices.well('test ! -e "$1/late"', directory);
  await host.rsconfigWell('umount', directory);
  await expectNothingLeft();
});

it('undoes whatever a killed mount has left', { timeout: TEST_MS }, async (context) => {
  await begin(context);
  const directory = target('killed');
  const file = host.rsiodPaths.mountsFile;
  for (let round = 0; round < ROUNDS; round++) {
    const mount = host.beside('rsconfig', ['mount', 'ext@monday', directory]);
    // Each round kills the command a little later, from the moment at which its record is there.
    await waitFor(() => existsSync(file) && readFileSync(file, 'utf8').includes(directory), WAIT_MS, 'The record is made');
    await sleep(round * LATER_MS);
    mount.kill('SIGKILL');
    await mount.ended;
    // A program that the command has started may still mount.
    await waitFor(async () => (await host.rsconfig('umount', directory)).code === 0, WAIT_MS, `The mount is undone, round ${round}`);
    await expectNothingLeft();
  }
});
