// Block and raw devices of attached volumes, used with the machine's own tools (file systems, dd, fio). Refusals and the state after a
// crash are also tested. fuse/fuse-session.test.ts tests the answers to single kernel requests, and test/bad-input/devices.test.ts tests
// missing devices. Skipped without /dev/fuse or loop devices. Tests with the same kind of devices share a host, and each begins with
// nothing attached. Every program that touches a device is a child process with a time-out.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { clientConfig, serverConfig, startClient } from '../support/hosts/configs.ts';
import { DeviceScene, type DeviceSceneOptions } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { isInUse, loopUseOf } from '../support/devices/loop-use.ts';
import { needTool } from '../support/programs/programs.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1 << 20;
const WAIT_MS = 30_000;
const TEST_MS = 240_000;

/** fio that runs longer than the tests, at a limited rate. fio writes no file into the current folder. */
const FIO_WRITES = [
  ...['--name=writes', '--rw=randwrite', '--bs=8k', '--direct=1', '--ioengine=libaio', '--iodepth=8', '--size=64m'],
  ...['--verify=crc32c', '--verify_backlog=64', '--verify_state_save=0', '--time_based', '--runtime=200', '--rate_iops=400'],
];

/** Checks of an unmounted file system whose journal has nothing to replay. */
const CHECKS = { ext4: 'e2fsck -fn "$1" 2>&1', xfs: 'xfs_repair -n "$1" 2>&1' };
const SYNCED_FILES = 60;
const WRITERS = 4;

/**
 * A script for node. `write FOLDER` makes files, prints the number of each file whose fsync has returned, and prints the error that ended
 * each writer. `verify FOLDER SAID` prints the numbers in SAID whose file is missing or different.
 */
const SYNCING_WRITER = `
const fs = require('node:fs');
const [, mode, folder, list] = process.argv;
const place = (number) => folder + '/' + number;
const content = (number) => Buffer.alloc(1 + (number * 7919) % 60000, number + ' ');
let last = 0;
async function write() {
  for (;;) {
    const number = ++last;
    const file = await fs.promises.open(place(number), 'w');
    // The script closes each file itself, because Node warns about files that the garbage collector closes.
    try {
      await file.writeFile(content(number));
      await file.sync();
      fs.writeSync(1, number + '\\n');
    } finally {
      await file.close().catch(() => undefined);
    }
  }
}
function isThere(number) {
  try {
    return fs.readFileSync(place(number)).equals(content(number));
  } catch {
    return false;
  }
}
const synced = () => fs.readFileSync(list, 'utf8').split('\\n').filter((line) => /^\\d+$/.test(line));
if (mode === 'verify') for (const number of synced()) if (!isThere(number)) console.log(number);
if (mode === 'write') for (let at = 0; at < ${WRITERS}; at++) write().catch(({ code }) => fs.writeSync(1, 'ended ' + code + '\\n'));
`;

const hosts = useHosts();

/** A host for all tests of a `describe`, made for the first test that can run. Each test begins with nothing attached. */
function useScene(device: string, options: DeviceSceneOptions = {}): (context: TestContext) => Promise<DeviceScene> {
  const shared = useHosts('file');
  let made: Promise<DeviceScene> | undefined;
  return async (context) => {
    needDevices(context);
    made ??= DeviceScene.begin(shared, device, options);
    const scene = await made;
    await scene.host.rsconfigWell('-d', '--force');
    expect(scene.devices.mounts()).toEqual([]);
    return scene;
  };
}

/** Volumes in addition to oracle. */
const OTHERS = {
  large: { type: 'memory', size: '32m', blocksize: '4096' },
  shown: { type: 'memory', size: '8m', readonly: 'yes' },
  lost: { type: 'memory', size: '8m' },
};

describe('with block devices,', () => {
  const sceneOf = useScene('block', { volumes: () => OTHERS });

  it(
    'a file system on the block device keeps a tree, the raw device shows the same volume, and detach leaves nothing behind',
    async (context) => {
      needTool(context, 'mkfs.ext4', 'e2fsprogs');
      const scene = await sceneOf(context);
      const { devices, host, raw, block } = scene;
      expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${block}\n`);
      expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${block}\n`);
      const local = await host.rsconfigWell('-lvv');
      expect(local).toBe(
        `osl:oracle@0\n    c: ${raw.padEnd(22)}${String((96 * MIB) / 512).padStart(12)} blocks,  1 server(s)\n    b: ${block}\n`,
      );
      const { attachments } = await host.call('local', {});
      expect(attachments[0]).toMatchObject({ rawDevice: raw, blockDevice: block });
      expect(readFileSync(`/sys/block/${path.basename(readlinkSync(block))}/loop/dio`, 'utf8')).toBe('1\n');

      const mount = scene.folder('mnt');
      await devices.well('mkfs.ext4 -q -E nodiscard "$1"; mount "$1" "$2"; cp -r "$3" "$2"/tree; sync', block, mount, path.resolve('docs'));
      const refused = await host.rsconfig('-d', 'oracle');
      expect(refused.stderr).toContain(`It is in use by mount point ${mount}: end that first, or use --force`);
      expect(refused.stderr).toContain('E_IN_USE');
      await devices.well('diff -r "$1" "$2"/tree; fstrim "$2"; diff -r "$1" "$2"/tree; umount "$2"', path.resolve('docs'), mount);
      expect(await devices.well('e2fsck -fn "$1" 2>&1', block)).toContain('oracle');
      // The raw device has the data that was written to the loop device.
      await devices.well('cmp -n 1048576 "$1" "$2"', block, raw);
      expect(await host.rsconfigWell('-d', 'oracle')).toBe('osl:oracle@0 detached\n');
      expect(devices.mounts()).toEqual([]);
      expect(existsSync(raw)).toBe(false);
      expect(existsSync(block)).toBe(false);
      await host.rsconfigWell('-d', 'oracle');
      // The server's file has the written file system.
      expect(await devices.well('e2fsck -fn "$1" 2>&1', host.file('storage/oracle.img'))).toContain('oracle.img');
    },
    TEST_MS,
  );

  it(
    'a busy device names its users; --force removes it, so that their I/O fails and nothing hangs',
    async (context) => {
      const scene = await sceneOf(context);
      const { devices, host, raw, block } = scene;
      await host.rsconfigWell('-a', 'oracle');
      const holder = scene.beside('sh', [
        '-c',
        'exec 5<>"$1" 6<"$2"; echo open; read -r _ < "$3"; dd bs=4096 count=1 of=/dev/null <&5',
        'sh',
        raw,
        block,
        scene.fifo(),
      ]);
      await waitFor(() => holder.stdout() === 'open\n', WAIT_MS, 'The devices are open');
      const refused = await host.rsconfig('-d', 'oracle');
      expect(refused.stderr).toContain(`It is in use by process ${holder.pid} (sh): end that first, or use --force`);
      expect(await host.rsconfigWell('-d', 'oracle', '--force')).toBe('osl:oracle@0 detached\n');
      await host.logged(
        'rsiod',
        `osl:oracle@0 was in use by process ${holder.pid} (sh): unwritten data is lost, and I/O fails from now on`,
      );
      expect(devices.mounts()).toEqual([]);
      await devices.shell('echo > "$1"', scene.fifo());
      expect((await holder.ended).stderr).toMatch(/error reading/);
      expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${block}\n`);
      await devices.well('dd if="$1" of=/dev/null bs=64k count=1', block);
    },
    TEST_MS,
  );

  it(
    'a mounted file system writes its data before a detach by force, and fails from then on',
    async (context) => {
      needTool(context, 'mkfs.ext4', 'e2fsprogs');
      const scene = await sceneOf(context);
      const { devices, host, block } = scene;
      await host.rsconfigWell('-a', 'oracle');
      const mount = scene.folder('mnt');
      await devices.well('mkfs.ext4 -q "$1"; mount "$1" "$2"; echo unsynced > "$2"/file', block, mount);
      expect(await host.rsconfigWell('-d', 'oracle', '--force')).toBe('osl:oracle@0 detached\n');
      await host.logged('rsiod', `osl:oracle@0 was in use by mount point ${mount}: unwritten data is lost`);
      expect((await devices.shell('echo more > "$1"/more; sync "$1"/more', mount)).code).not.toBe(0);
      await devices.well('umount "$1"', mount);
      await host.rsconfigWell('-a', 'oracle');
      expect(await devices.well('mount "$1" "$2"; cat "$2"/file; umount "$2"', block, mount)).toBe('unsynced\n');
    },
    TEST_MS,
  );

  it(
    'obstacles are named: a node, a mount, a loop device removed by hand, a read-only volume, blocks of 4096 bytes',
    async (context) => {
      needTool(context, 'mkfs.ext4', 'e2fsprogs');
      const scene = await sceneOf(context);
      const { devices, host } = scene;
      const [block, raw] = [scene.place('large'), scene.place('rlarge')];
      writeFileSync(host.file('dev/av0/large'), 'mine');
      const taken = await host.rsconfig('-a', 'large');
      expect(taken).toMatchObject({ code: 1, stdout: '' });
      expect(taken.stderr).toContain(`${block} exists already and is no device of rsiod: move it away, or set path = for this volume`);
      expect(taken.stderr).toContain('E_IN_USE');
      expect(await host.rsconfigWell('-l')).toBe('');
      expect(devices.mounts()).toEqual([]);
      expect(readFileSync(block, 'utf8')).toBe('mine');
      await devices.well('rm "$1"; : > "$2"; mount --bind "$2" "$2"', block, raw);
      expect((await host.rsconfig('-a', 'large')).stderr).toContain(`Something is mounted on ${raw}: unmount it`);
      await devices.well('umount "$1"', raw);

      await host.rsconfigWell('-a', 'large', 'shown', 'lost');
      expect(await devices.well('blockdev --getss --getpbsz "$1"; stat --format=%o "$2"', block, raw)).toMatch(/^4096\n4096\n4096\n/);
      for (const words of ['bs=512 count=1', 'bs=4096 count=1 seek=1 oflag=seek_bytes']) {
        expect((await devices.shell(`dd if=/dev/zero of="$1" ${words} conv=notrunc`, raw)).stderr).toContain('Invalid argument');
      }
      expect((await devices.shell('dd if=/dev/zero of="$1" bs=1M seek=31 count=2 conv=notrunc', raw)).stderr).toContain(
        'No space left on device',
      );
      const shown = path.join(host.root, 'dev/av0/shown');
      expect((await devices.shell('dd if=/dev/zero of="$1" bs=512 count=1', path.join(host.root, 'dev/av0/rshown'))).stderr).toContain(
        'Read-only',
      );
      expect((await devices.shell('blockdev --getro "$1"; mkfs.ext4 -q "$1"', shown)).stdout).toBe('1\n');

      const lost = path.join(host.root, 'dev/av0/lost');
      await devices.well('losetup --detach "$(readlink "$1")"', lost);
      expect(await host.rsconfigWell('-d', 'lost')).toBe('osl:lost@0 detached\n');
      expect(await host.rsconfigWell('-a', 'lost')).toBe(`osl:lost@0 attached ${lost}\n`);
      await devices.well('dd if="$1" of=/dev/null bs=1M', lost);
    },
    TEST_MS,
  );

  it(
    'fio does not notice a crash of the server; both devices show growth; stopping rsiod removes them',
    async (context) => {
      needTool(context, 'fio', 'fio');
      const scene = await sceneOf(context);
      const { devices, host, network, raw, block } = scene;
      await host.rsconfigWell('-a', 'oracle');
      const fio = scene.beside('fio', [`--filename=${block}`, ...FIO_WRITES]);
      await waitFor(async () => (await volumeStats(host, 'osl:oracle@0')).writes > 300, WAIT_MS, 'fio writes');
      await host.kill('rssrv');
      await host.start('rssrv');
      const oracle = { path: host.file('storage/oracle.img'), size: '128m' };
      host.writeConfig('rssrv', serverConfig(network, { volumes: { ...OTHERS, oracle } }));
      process.kill(host.pid('rssrv'), 'SIGHUP');
      const sizes = async (): Promise<string> => await devices.well('stat --format=%s "$1"; blockdev --getsize64 "$2"', raw, block);
      await waitFor(async () => (await sizes()) === `${128 * MIB}\n${128 * MIB}\n`, WAIT_MS, 'Both have grown');
      const sectors = `/sys/block/${path.basename(readlinkSync(block))}/size`;
      // While programs write, the kernel may show an old size of the device. The test therefore checks that the new end can be read.
      for (let mebibytes = 132; mebibytes <= 160; mebibytes += 4) {
        host.writeConfig('rssrv', serverConfig(network, { volumes: { ...OTHERS, oracle: { ...oracle, size: `${mebibytes}m` } } }));
        process.kill(host.pid('rssrv'), 'SIGHUP');
        // No program may look at the raw device during this wait, because that would make the kernel ask for the size again.
        const isShown = (): boolean => readFileSync(sectors, 'utf8') === `${(mebibytes * MIB) / 512}\n`;
        const told = async (thrown: unknown): Promise<never> => {
          throw new Error(`${String(thrown)}; ${await host.rsconfigWell('-lvv')}${host.log('rsiod')}${host.log('rssrv')}`);
        };
        await waitFor(isShown, WAIT_MS, 'It has grown again').catch(told);
        expect(await devices.well('blockdev --getsize64 "$1"', block)).toBe(`${mebibytes * MIB}\n`);
        const read = 'dd if="$1" bs=1M skip="$2" iflag=direct | wc -c';
        for (const device of [block, raw]) expect(await devices.well(read, device, String(mebibytes - 1))).toBe(`${MIB}\n`);
      }
      await devices.well('dd if=/dev/zero of="$1" bs=1M seek=127 count=1 oflag=direct conv=notrunc', raw);
      fio.kill('SIGINT');
      expect(await fio.ended).toMatchObject({ stderr: '', stdout: expect.stringContaining('err= 0') });
      await host.stop('rsiod');
      expect(devices.mounts()).toEqual([]);
      expect(existsSync(block)).toBe(false);
    },
    TEST_MS,
  );
});

describe('with raw devices,', () => {
  const sceneOf = useScene('raw', { defaults: { stall: 'forever' } });

  it(
    'without a path, reads can be interrupted, writes get EIO when the stall policy ends, and the device recovers with a path',
    async (context) => {
      const scene = await sceneOf(context);
      const { devices, host, network, raw } = scene;
      expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${raw}\n`);
      await host.stop('rssrv');
      const reader = scene.beside('dd', [`if=${raw}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct']);
      await waitFor(async () => (await host.call('status', {})).waiting.length > 0, WAIT_MS, 'A read waits');
      reader.kill('SIGTERM');
      expect(await reader.ended).toMatchObject({ signal: 'SIGTERM', timedOut: false });
      host.writeConfig('rsiod', clientConfig(network, { defaults: { device: 'raw', stall: '1s' } }));
      await host.rsconfigWell('reload');
      const writer = await devices.shell('dd if=/dev/zero of="$1" bs=4096 count=1 conv=notrunc', raw);
      expect(writer.stderr).toContain('Input/output error');
      await host.start('rssrv');
      await host.pathsUp(1, WAIT_MS);
      await devices.well('dd if=/dev/zero of="$1" bs=4096 count=1 conv=notrunc,fsync; cmp -n 4096 /dev/zero "$1"', raw);
      await host.rsconfigWell('-d');
      expect(devices.mounts()).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'when another client takes a volume over, users of its device get an error at once, and the device is removed',
    async (context) => {
      needTool(context, 'fio', 'fio');
      const scene = await sceneOf(context);
      const { devices, host, network, raw } = scene;
      await host.rsconfigWell('-a', 'oracle');
      const writer = scene.beside('fio', [`--filename=${raw}`, ...FIO_WRITES]);
      await waitFor(async () => (await volumeStats(host, 'osl:oracle@0')).writes > 300, WAIT_MS, 'fio writes');
      const venus = hosts.host();
      await startClient(venus, network, { node: 'venus', client: 1 });
      await venus.rsconfigWell('-a', '--take-over', 'oracle');
      expect((await writer.ended).code).not.toBe(0);
      await waitFor(() => devices.mounts().length === 0, WAIT_MS, 'The device is taken away');
      expect(await host.rsconfigWell('-l')).toBe('');
      await venus.rsconfigWell('-d');
    },
    TEST_MS,
  );

  it(
    'of two volumes with one name in two namespaces, the second is refused until it gets a path of its own',
    async (context) => {
      const { devices, host, network, raw } = await sceneOf(context);
      const [other, beyond] = [hosts.host(), await hosts.network(1)];
      const volumes = { oracle: { type: 'memory', size: '8m' } };
      other.writeConfig('rssrv', serverConfig(beyond, { volumes }).replace('namespaceid = 200', 'namespaceid = 201'));
      await other.start('rssrv');
      const login = clientConfig(beyond, { namespaceid: 201 })
        .replace(/^[^]*(?=\[namespace osl\])/, '')
        .replace('[namespace osl]', '[namespace two]');
      const [address] = beyond.clientAddresses();
      const both = `${clientConfig(network, { defaults: { device: 'raw' } })}\n${login}port = ${beyond.port}\n`;
      const reach = `[interface other]\naddress = ${address}\n`;
      const apply = async (more: string): Promise<void> => {
        host.writeConfig('rsiod', both.replace('[namespace osl]', `${reach}\n[namespace osl]`) + more);
        await host.rsconfigWell('reload');
      };
      await apply('');
      await host.pathsUp(2, WAIT_MS);
      expect(await host.rsconfigWell('-a', 'osl:oracle')).toBe(`osl:oracle@0 attached ${raw}\n`);
      const refused = await host.rsconfig('-a', 'two:oracle');
      expect(refused.stderr).toContain(`osl:oracle@0 is at ${raw.replace('roracle', 'oracle')} and ${raw}: detach it first, or set path =`);
      await apply('[volume oracle]\npath = /dev/two/oracle\n');
      const place = path.join(host.root, 'dev/two/roracle');
      expect(await host.rsconfigWell('-a', 'two:oracle')).toBe(`two:oracle@0 attached ${place}\n`);
      expect((await devices.well('stat --format=%s "$1" "$2"', raw, place)).split('\n')).toEqual([String(96 * MIB), String(8 * MIB), '']);
      await host.stop('rsiod');
      expect(devices.mounts()).toEqual([]);
    },
    TEST_MS,
  );
});

it(
  'kill -9 of all of rsiod under busy file systems gives errors and no hang; the next rsiod cleans up, synced data is kept',
  async (context) => {
    needDevices(context);
    needTool(context, 'mkfs.xfs', 'xfsprogs');
    const known = spawnSync('sh', ['-c', 'grep -qw xfs /proc/filesystems || modprobe -q xfs'], { stdio: 'ignore' });
    context.skip(known.status !== 0, 'needs a kernel with xfs');
    const scene = await DeviceScene.begin(hosts, 'block', {
      volumes: (its) => ({
        ext4: { path: its.file('storage/ext4.img'), size: '128m' },
        xfs: { path: its.file('storage/xfs.img'), size: '320m' },
      }),
    });
    const { devices, host } = scene;
    const systems = Object.entries(CHECKS).map(([name, check]) => {
      return { name, check, block: scene.place(name), raw: scene.place(`r${name}`), mount: scene.folder(`mnt/${name}`) };
    });
    await host.rsconfigWell('-a', ...systems.map(({ name }) => name));
    for (const { name, block, mount } of systems) await devices.well('mkfs."$1" -q "$2"; mount "$2" "$3"', name, block, mount);
    // Makes leftovers like those of another rsiod: a loop device, and a mount whose process has ended.
    const [image, foreign] = [host.file('foreign.img'), scene.place('rforeign')];
    const foreignLoop = await devices.well(
      'truncate -s 1M "$1"; losetup --find --show "$1"; exec 3<>/dev/fuse; : > "$2"; mount -i -t fuse.rsio -o "$3" rsio:/elsewhere:a:b@0 "$2"',
      ...[image, foreign, 'fd=3,rootmode=100600,user_id=0,group_id=0'],
    );
    const writers = systems.map(({ mount }) => scene.beside(process.execPath, ['-e', SYNCING_WRITER, 'write', mount]));
    const haveSynced = (): boolean => writers.every((writer) => writer.stdout().split('\n').length > SYNCED_FILES);
    await waitFor(haveSynced, WAIT_MS, 'Files are written and synced');
    for (const pid of new Set([host.pid('rsiod'), (await host.call('daemon', {})).pid])) process.kill(pid, 'SIGKILL');
    const said = await Promise.all(writers.map(({ ended }) => ended));
    for (const { stdout, ...how } of said) {
      expect(how).toMatchObject({ code: 0, stderr: '', timedOut: false });
      const ends = stdout.split('\n').filter((line) => line.startsWith('ended'));
      expect(ends.map((line) => line.replace('EROFS', 'EIO'))).toEqual(Array<string>(WRITERS).fill('ended EIO'));
    }
    for (const { block } of systems)
      expect((await devices.shell('dd if="$1" of=/dev/null bs=4k count=1 iflag=direct', block)).stderr).toContain('Input/output error');

    const loops = systems.map(({ block }) => loopUseOf(block));
    await host.start('rsiod');
    for (const { raw, mount } of systems) {
      await host.logged('rsiod', `Raw device ${raw}, left by a crash, was removed`);
      await host.logged('rsiod', `Everything on ${raw} is dead: mount point ${mount} must be ended`);
    }
    const areBack = async (): Promise<boolean> => {
      const shown = (await host.call('local', {})).attachments.map(({ blockDevice }) => blockDevice ?? '');
      return shown.length === systems.length && shown.every((block) => existsSync(block));
    };
    await waitFor(areBack, WAIT_MS, 'The devices are there again');
    expect(devices.mounts().sort()).toEqual([foreign, ...systems.flatMap(({ mount, raw }) => [mount, raw])].sort());
    expect(await devices.well('losetup --noheadings --output NAME --associated "$1"', image)).toBe(foreignLoop);
    await devices.well('umount "$1"; losetup --detach "$2"', foreign, foreignLoop.trim());
    await devices.well('umount "$@"', ...systems.map(({ mount }) => mount));
    expect(loops.filter(isInUse), 'they go with the dead file systems').toEqual([]);
    for (const [at, { name, check, block, mount }] of systems.entries()) {
      const list = host.file(`synced-${name}`);
      writeFileSync(list, said[at]?.stdout ?? '');
      // Mounting replays the journal.
      const verify = 'mount "$1" "$2"; trap \'umount "$2"\' EXIT; "$3" -e "$4" verify "$2" "$5"';
      expect(await devices.well(verify, block, mount, process.execPath, SYNCING_WRITER, list), `Lost on ${name}`).toBe('');
      await devices.well(check, block);
    }
    await host.rsconfigWell('-d');
    expect(devices.mounts()).toEqual([]);
  },
  TEST_MS,
);
