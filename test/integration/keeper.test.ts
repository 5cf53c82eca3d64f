// rsiod's child process is killed, restarted or stopped for good while its devices are in use: a file system is mounted on a device, and
// fio writes and verifies. fuse/fuse-session.test.ts tests the answers to single requests. Skipped if the machine cannot have devices, or
// if its kernel cannot send outstanding requests again.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices, needResend } from '../support/devices/devices.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { isInUse, loopUseOf } from '../support/devices/loop-use.ts';
import { pathCutter } from '../support/faults/path-cutter.ts';
import { needTool, type Running } from '../support/programs/programs.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const TEST_MS = 300_000;
const KILLS = 3;
const MIB = 1 << 20;

const hosts = useHosts();

/** Runs fio in the file system at `folder` until it is stopped: it continuously writes blocks with checksums and reads them back. */
function fioIn(scene: DeviceScene, folder: string): Running {
  return scene.beside('fio', [
    ...['--name=job', `--directory=${folder}`, '--size=24m', '--rw=randwrite', '--bsrange=4k-64k', '--direct=1', '--ioengine=libaio'],
    ...['--iodepth=16', '--fsync=64', '--verify=crc32c', '--verify_fatal=1', '--verify_backlog=128', '--verify_state_save=0'],
    ...['--randrepeat=0', '--time_based', '--runtime=110', '--output-format=json'],
  ]);
}

/** Pid of rsiod's working process. The pid file has the pid of the keeper instead. */
async function workingProcess(scene: DeviceScene): Promise<number> {
  return (await scene.host.call('daemon', {})).pid;
}

/** Waits until a process other than `before` works and has executed writes of fio. Returns its pid. */
async function goesOn(scene: DeviceScene, before: number): Promise<number> {
  const now = await waitFor(
    async () => {
      const pid = await workingProcess(scene).catch(() => before);
      return pid === before ? null : pid;
    },
    WAIT_MS,
    'Another process answers',
  );
  const writes = async (): Promise<boolean> => (await volumeStats(scene.host, 'osl:oracle@0').catch(() => ({ writes: 0 }))).writes > 100;
  await waitFor(writes, WAIT_MS, 'fio writes on');
  return now;
}

/** Kernel messages about errors of a device; null: the kernel log cannot be read. */
async function complaints(scene: DeviceScene, device: string): Promise<string[] | null> {
  const { code, stdout } = await scene.devices.shell('dmesg');
  return code !== 0 ? null : stdout.split('\n').filter((line) => line.includes(path.basename(device)) && /error|abort|corrupt/i.test(line));
}

it(
  "a mounted file system and fio notice no kill and no restart of rsiod's child process",
  async (context) => {
    needDevices(context);
    needTool(context, 'mkfs.ext4', 'e2fsprogs');
    needTool(context, 'fio', 'fio');
    needResend(context);
    const scene = await DeviceScene.begin(hosts, 'block', { addresses: 2 });
    const { devices, host, network, block, raw } = scene;
    const cutter = await pathCutter(hosts, network);
    await host.rsconfigWell('-a', 'oracle');
    const mount = scene.folder('mnt');
    await devices.well('chmod 640 "$3"; mkfs.ext4 -q "$1"; mount "$1" "$2"', block, mount, raw);
    const loop = readlinkSync(block);
    const before = await complaints(scene, loop);
    const fio = fioIn(scene, mount);
    const writesOn = async (): Promise<void> => {
      const { writes } = await volumeStats(host, 'osl:oracle@0');
      await waitFor(async () => (await volumeStats(host, 'osl:oracle@0')).writes > writes + 100, WAIT_MS, 'fio writes on');
    };
    await writesOn();
    let pid = await workingProcess(scene);
    expect(pid).not.toBe(host.pid('rsiod'));
    for (let kill = 0; kill < KILLS; kill++) {
      process.kill(pid, 'SIGKILL');
      pid = await goesOn(scene, pid);
    }
    if (cutter.means === 'ss -K') for (const index of [0, 1]) await cutter.cut(index).then(writesOn);
    process.kill(host.worker('big-2'), 'SIGKILL');
    await writesOn();
    await host.stop('rssrv');
    await host.start('rssrv');
    await writesOn();
    await Promise.all([host.call('restart', {}), host.call('restart', {})]);
    pid = await goesOn(scene, pid);
    await host.logged('rsiod', /Restarting, as requested/);
    expect(host.log('rsiod').match(/Restarting, as requested/g), 'one restart serves both').toHaveLength(1);
    expect(await host.rsconfigWell('restart')).toMatch(/^rsiod restarted as process \d+\n$/);
    await goesOn(scene, pid);
    const oracle = { path: host.file('storage/oracle.img'), size: '128m' };
    host.writeConfig('rssrv', serverConfig(network, { volumes: { oracle } }));
    process.kill(host.pid('rssrv'), 'SIGHUP');
    await waitFor(async () => (await devices.well('blockdev --getsize64 "$1"', block)) === `${128 * MIB}\n`, WAIT_MS, 'It has grown');
    await writesOn();
    process.kill(host.pid('rsiod'), 'SIGTERM');
    const refusal = `Does not end (SIGTERM): osl:oracle@0 is in use by mount point ${mount}: end that first, or use rsconfig stop --force`;
    await waitFor(() => host.log('rsiod').includes(refusal), WAIT_MS, 'SIGTERM is refused');
    await writesOn();
    fio.kill('SIGINT');
    const outcome = await fio.ended;
    expect(outcome.stderr).toBe('');
    const { jobs } = JSON.parse(outcome.stdout.slice(outcome.stdout.indexOf('{'))) as { jobs: { error: number }[] };
    expect(jobs.map(({ error }) => error)).toEqual([0]);
    await devices.well('umount "$1"', mount);
    expect(await devices.well('e2fsck -fn "$1" 2>&1', block)).toContain('oracle');
    // Only new lines count, because the kernel drops its oldest lines.
    expect((await complaints(scene, loop))?.filter((line) => before?.includes(line) === false) ?? []).toEqual([]);
    expect(await devices.well('stat --format=%a "$1"', raw), 'what was said of the file goes on').toBe('640\n');
    const log = host.log('rsiod');
    expect(log.match(/Restart \d+: .*signal 9/g)).toHaveLength(KILLS);
    expect(log.match(/Restart \d+: .*restart requested/g)).toHaveLength(2);
    expect(log).not.toContain('may be lost');
    await host.rsconfigWell('-d', 'oracle');
    expect(devices.mounts()).toEqual([]);
    // SIGTERM cancels a requested restart.
    await host.call('restart', {});
    await host.stop('rsiod');
    expect(host.processes().filter((one) => readFileSync(`/proc/${one}/comm`, 'utf8').startsWith('rsiod'))).toEqual([]);
  },
  TEST_MS,
);

it(
  'a restart that would cut off a mounted file system is refused, until the keeper holds its device',
  async (context) => {
    needDevices(context);
    needResend(context);
    needTool(context, 'mkfs.ext4', 'e2fsprogs');
    needTool(context, 'prlimit', 'util-linux');
    const scene = await DeviceScene.begin(hosts, 'block');
    const { devices, host, block } = scene;
    // The keeper has no free descriptor, and therefore refuses the device.
    const limit = (number: string): Promise<string> => devices.well('prlimit --pid "$1" --nofile="$2:"', `${host.pid('rsiod')}`, number);
    await limit('3');
    await host.rsconfigWell('-a', 'oracle');
    await host.logged('rsiod', /roracle does not outlive a restart or a crash of rsiod/);
    const mount = scene.folder('mnt');
    await devices.well('mkfs.ext4 -q "$1"; mount "$1" "$2"', block, mount);
    const before = await workingProcess(scene);
    const refused = await host.rsconfig('restart');
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('E_IN_USE') });
    expect(refused.stderr).toContain(`osl:oracle@0 is in use by mount point ${mount}, and a restart would cut it off (`);
    expect(refused.stderr).toContain('end that first, and run rsconfig restart again; rsiod goes on until then');
    expect(await workingProcess(scene)).toBe(before);
    await devices.well('echo more > "$1"/file; sync "$1"/file', mount);
    await limit('1024');
    await host.rsconfigWell('restart');
    expect(await devices.well('sync -f "$1"; cat "$1"/file; umount "$1"', mount)).toBe('more\n');
    expect(await workingProcess(scene)).not.toBe(before);
  },
  TEST_MS,
);

it(
  'devices wait for a lost server when their process dies; after a detach or a stop they are removed, and users get errors',
  async (context) => {
    needDevices(context);
    needResend(context);
    const volumes = (host: Host) => ({ second: { path: host.file('storage/second.img'), size: '8m' } });
    const scene = await DeviceScene.begin(hosts, 'raw', { volumes });
    const { devices, host, network, raw } = scene;
    const [second, block] = [scene.place('rsecond'), scene.place('second')];
    await host.rsconfigWell('-a');
    await devices.well(
      'dd if=/dev/urandom of="$1" bs=1M count=1 conv=notrunc oflag=direct; dd if="$1" of="$2" bs=1M count=1',
      raw,
      host.file('copy'),
    );
    await host.stop('rssrv');
    const [writer, other] = [raw, second].map((file) =>
      scene.beside('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k', 'count=1', 'seek=256', 'conv=notrunc']),
    );
    await waitFor(async () => (await host.call('status', {})).waiting.length === 2, WAIT_MS, 'Both wait');
    const pid = await workingProcess(scene);
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => (await workingProcess(scene).catch(() => pid)) !== pid, WAIT_MS, 'Another process answers');
    expect((await host.call('local', {})).awaited.map(({ name }) => name).sort()).toEqual(['oracle', 'second']);
    expect(await devices.well('stat --format=%s "$1"', raw), 'who only looks is not held up').toBe(`${96 * MIB}\n`);
    expect((await host.rsconfig('stop')).stderr).toContain('osl:oracle@0 is in use by process');
    const refused = await host.rsconfig('-d', 'second');
    expect(refused.stderr).toContain(`It is in use by process ${other?.pid} (dd)`);
    expect(await host.rsconfigWell('-d', '--force', 'second')).toBe('osl:second@0 detached\n');
    expect((await other!.ended).stderr).toContain('Input/output error');
    await waitFor(() => devices.mounts().length === 1, WAIT_MS, 'The device is taken away');
    await host.logged(
      'rsiod',
      `${second}, left by the previous process, were removed (detached by rsconfig -d): unwritten data of process`,
    );
    // While the configuration is wrong, the keeper starts no new process, and the log says so.
    host.writeConfig('rsiod', 'nonsense');
    const stopped = await workingProcess(scene);
    process.kill(stopped, 'SIGKILL');
    await waitFor(() => host.log('rsiod').includes('The configuration is refused, and I/O on devices waits'), WAIT_MS, 'The log says why');
    host.writeConfig('rsiod', clientConfig(network, { defaults: { device: 'block' } }));
    await waitFor(async () => (await workingProcess(scene).catch(() => stopped)) !== stopped, WAIT_MS, 'Another process answers');
    await host.start('rssrv');
    expect(await writer!.ended).toMatchObject({ code: 0 });
    await devices.well('cmp -n 1048576 "$1" "$2"', raw, host.file('copy'));
    // When rsiod stops while devices wait for the server, it removes the devices cleanly, and the next start attaches their volumes again.
    expect(await host.rsconfigWell('-a', 'second')).toBe(`osl:second@0 attached ${block}\n`);
    const loop = loopUseOf(block);
    await host.stop('rssrv');
    const waiters = [raw, block].map((file) =>
      scene.beside('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k', 'count=1', 'conv=notrunc', 'oflag=direct']),
    );
    await waitFor(async () => (await host.call('status', {})).waiting.length === 2, WAIT_MS, 'Both wait again');
    const last = await workingProcess(scene);
    process.kill(last, 'SIGKILL');
    await waitFor(async () => (await workingProcess(scene).catch(() => last)) !== last, WAIT_MS, 'Another process answers');
    expect((await host.call('local', {})).awaited).toHaveLength(2);
    expect(await host.rsconfigWell('stop', '--force')).toBe('rsiod has ended\n');
    for (const { ended } of waiters) expect((await ended).stderr).toContain('Input/output error');
    expect(devices.mounts()).toEqual([]);
    expect(readdirSync(path.dirname(raw))).toEqual([]);
    await waitFor(() => !isInUse(loop), WAIT_MS, 'The loop device is gone');
    await host.start('rssrv');
    await host.start('rsiod');
    await waitFor(async () => (await host.call('local', {})).attachments.length === 2, WAIT_MS, 'Both are attached again');

    const user = scene.beside('sh', ['-c', 'exec 5<>"$1"; echo open; exec sleep 60', 'sh', raw]);
    await waitFor(() => user.stdout() === 'open\n', WAIT_MS, 'It is open');
    expect((await host.rsconfig('stop')).stderr).toContain(`osl:oracle@0 is in use by process ${user.pid} (sleep)`);
    expect(await host.rsconfigWell('stop', '--force')).toBe('rsiod has ended\n');
    expect(devices.mounts()).toEqual([]);
    expect((await host.rsconfig('stop')).stderr).toContain('E_NOT_RUNNING');
    user.kill('SIGKILL');
  },
  TEST_MS,
);
