// Devices of volumes in data processes: a data process, the main process or both are killed or restarted while a file system is mounted and
// fio writes and verifies; two volumes compete for one path. Invariant: fio notices only pauses. Skipped under the same conditions as
// keeper.test.ts.

import { expect, it } from 'vitest';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { clientConfig } from '../support/hosts/configs.ts';
import { needDevices, needResend } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const TEST_MS = 300_000;
const NAMES = ['oracle', 'data', 'logs'];

const hosts = useHosts();

it(
  'mounted file systems and fio notice no kill of a data process, of the main process, and no restart',
  async (context) => {
    needDevices(context);
    needTool(context, 'mkfs.ext4', 'e2fsprogs');
    needTool(context, 'fio', 'fio');
    needResend(context);
    const scene = await DeviceScene.begin(hosts, 'block', {
      volumes: (host) => ({
        data: { path: host.file('storage/data.img'), size: '64m' },
        logs: { path: host.file('storage/logs.img'), size: '64m' },
      }),
      defaults: { processes: '2' },
    });
    const { devices, host } = scene;
    await host.rsconfigWell('-a');
    for (const name of NAMES) {
      const mount = scene.folder(`mnt-${name}`);
      await devices.well('mkfs.ext4 -q "$1"; mount "$1" "$2"', scene.place(name), mount);
    }
    const fios = ['oracle', 'data'].map((name) =>
      scene.beside('fio', [
        ...['--name=job', `--directory=${host.file(`mnt-${name}`)}`, '--size=16m', '--rw=randwrite', '--bsrange=4k-64k', '--direct=1'],
        ...['--ioengine=libaio', '--iodepth=8', '--fsync=64', '--verify=crc32c', '--verify_fatal=1', '--verify_backlog=128'],
        ...['--verify_state_save=0', '--randrepeat=0', '--time_based', '--runtime=110', '--output-format=json'],
      ]),
    );
    const writes = async (name: string): Promise<number> =>
      (await volumeStats(host, `osl:${name}@0`).catch(() => ({ writes: Number.NaN }))).writes;
    const writeOn = async (what: string): Promise<void> => {
      for (const name of ['oracle', 'data']) {
        const before = await waitFor(async () => (await writes(name)) >= 0 && [await writes(name)], WAIT_MS, `${name} is there: ${what}`);
        await waitFor(async () => (await writes(name)) > (before[0] ?? 0) + 50, WAIT_MS, `fio writes on ${name}: ${what}`);
      }
    };
    const processes = async (): Promise<readonly { number: number; pid: number | null }[]> =>
      (await host.call('status', {})).processes ?? [];
    await writeOn('at first');
    for (const number of [1, 2, 1]) {
      process.kill((await processes()).find((one) => one.number === number)!.pid!, 'SIGKILL');
      await host.logged('rsiod', `Data process ${number} has ended (signal SIGKILL)`);
      await writeOn(`after the end of data process ${number}`);
    }
    const { pid } = await host.call('daemon', {});
    process.kill(pid, 'SIGKILL');
    await waitFor(async () => (await host.call('daemon', {}).catch(() => ({ pid }))).pid !== pid, WAIT_MS, 'Another main process answers');
    await writeOn('after the end of the main process');
    expect(await host.rsconfigWell('restart')).toMatch(/^rsiod restarted as process \d+\n$/);
    await writeOn('after a restart');
    const refused = await host.rsconfig('stop');
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`in use by mount point ${host.file('mnt-oracle')}`) as unknown,
    ]);
    for (const fio of fios) fio.kill('SIGINT');
    for (const fio of fios) expect((await fio.ended).stderr).not.toMatch(/verify|error/i);
    for (const name of NAMES) await devices.well('umount "$1"', host.file(`mnt-${name}`));
    await host.rsconfigWell('-d');
    expect(await devices.well('ls "$1"', host.file('dev/av0'))).toBe('');
    await host.rsconfigWell('stop');
  },
  TEST_MS,
);

it(
  'of two volumes with one path, the second is refused as with one process',
  async (context) => {
    needDevices(context);
    const volumes = { data: { type: 'memory', size: '8m' } };
    const { host, devices, raw, block, network } = await DeviceScene.begin(hosts, 'raw', { volumes: () => volumes });
    const config = clientConfig(network, { defaults: { device: 'raw', processes: '2' } });
    host.writeConfig('rsiod', `${config}[volume data]\npath = /dev/av0/oracle\n`);
    await host.rsconfigWell('restart');
    await host.pathsUp(1, WAIT_MS);
    expect(await host.rsconfigWell('-a', 'oracle')).toBe(`osl:oracle@0 attached ${raw}\n`);
    const refused = await host.rsconfig('-a', 'data');
    expect(refused.stderr).toContain(`osl:oracle@0 is at ${block} and ${raw}: detach it first, or set path =`);
    await host.rsconfigWell('-d', 'oracle');
    expect(await host.rsconfigWell('-a', 'data')).toBe(`osl:data@0 attached ${raw}\n`);
    await host.rsconfigWell('-d');
    expect(await devices.well('ls "$1"', host.file('dev/av0'))).toBe('');
    await host.rsconfigWell('stop');
  },
  TEST_MS,
);
