// XFS and ext4 on block devices of attached volumes: a tree of files survives, deleting and trimming frees space on the server's disk, and
// a volume that grows under load enlarges the mounted file system. Other uses of devices are in block-devices.test.ts. Skipped without
// devices or the file system. Even if a test fails, the load and the mount end cleanly.

import { spawnSync } from 'node:child_process';
import { readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { serverConfig } from '../support/hosts/configs.ts';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1 << 20;
const WAIT_MS = 30_000;
const TEST_MS = 240_000;
/** DELETED_MIB: size of the deleted file. Only a part of this space must be free afterwards, because the file system may write metadata. */
const DELETED_MIB = 24;
const FREED_MIB = 20;
const DOCS = path.resolve('docs');

/**
 * Sizes in MiB; XFS needs at least 300. Commands: `$1` is the device or the server's file, `$2` the mount point. The volume of ext4 also
 * grows, but ext4 itself does not: growing it while mounted needs CAP_SYS_RESOURCE, which root in a container may lack.
 */
const XFS = {
  name: 'xfs',
  blocksize: 512,
  size: 320,
  grown: 480,
  make: 'mkfs.xfs -q "$1"',
  check: 'xfs_repair -n "$1" 2>&1',
  grow: 'xfs_growfs -d "$2"',
};
const EXT4 = {
  name: 'ext4',
  blocksize: 4096,
  size: 96,
  grown: 144,
  make: 'mkfs.ext4 -q "$1"',
  check: 'e2fsck -fn "$1" 2>&1',
  grow: undefined,
};

/** fio as a load. The load runs until SIGINT. */
const FIO_LOAD = [
  ...['--name=load', '--rw=randwrite', '--bs=8k', '--direct=1', '--ioengine=libaio', '--iodepth=4', '--size=16m'],
  ...['--verify=crc32c', '--verify_backlog=64', '--verify_state_save=0', '--time_based', '--runtime=100'],
];

const hosts = useHosts();

it.for([XFS, EXT4])(
  '$name on blocks of $blocksize bytes keeps a tree, gives back what is trimmed, and grows with its volume under load',
  { timeout: TEST_MS },
  async (kind, context) => {
    needDevices(context);
    needTool(context, 'mkfs.xfs', 'xfsprogs');
    needTool(context, 'mkfs.ext4', 'e2fsprogs');
    needTool(context, 'fio', 'fio');
    const known = spawnSync('sh', ['-c', 'grep -qw "$1" /proc/filesystems || modprobe -q "$1"', 'sh', kind.name], { stdio: 'ignore' });
    context.skip(known.status !== 0, `needs a kernel with ${kind.name}`);
    const oracle = { blocksize: String(kind.blocksize), size: `${kind.size}m` };
    const shown = { type: 'memory', size: '8m', readonly: 'yes', blocksize: oracle.blocksize };
    const scene = await DeviceScene.begin(hosts, 'block', { volumes: () => ({ oracle, shown }) });
    const { devices, host, network, raw, block } = scene;
    const file = host.file('storage/oracle.img');
    await host.rsconfigWell('-a');
    const listed = async (device: string): Promise<string> =>
      (await devices.well('lsblk --nodeps --bytes --raw --noheadings --output SIZE,RO,LOG-SEC,PHY-SEC "$1"', readlinkSync(device))).trim();
    const sizes = async (): Promise<string> => await devices.well('stat --format=%s "$1"; blockdev --getsize64 "$2"', raw, block);
    expect(await listed(block)).toBe(`${kind.size * MIB} 0 ${kind.blocksize} ${kind.blocksize}`);
    expect(await listed(scene.place('shown'))).toBe(`${8 * MIB} 1 ${kind.blocksize} ${kind.blocksize}`);
    expect(await sizes()).toBe(`${kind.size * MIB}\n`.repeat(2));

    const mount = scene.folder('mnt');
    const mounted = async (command: string, ...words: readonly string[]): Promise<string> =>
      await devices.well(`mount "$1" "$2"; trap 'umount "$2"' EXIT; ${command}`, block, mount, ...words);
    await devices.well(kind.make, block);
    await mounted('cp -r "$3" "$2"/tree; dd if=/dev/urandom of="$2"/large bs=1M count="$4" 2>&1', DOCS, String(DELETED_MIB));
    await devices.well(kind.check, block);
    await mounted('diff -r "$3" "$2"/tree', DOCS);
    const before = statSync(file).blocks;
    await mounted('rm "$2"/large');
    // Mounts the file system again, so that no deletion is still in progress.
    await mounted('fstrim "$2"; diff -r "$3" "$2"/tree', DOCS);
    expect(((before - statSync(file).blocks) * 512) / MIB).toBeGreaterThan(FREED_MIB);
    await devices.well(kind.check, block);

    const fill = 'fallocate -l "$4"M "$2"/more && dd if=/dev/urandom of="$2"/more bs=1M seek="$3" count=8 conv=notrunc,fsync 2>&1';
    const over = [String(kind.size), String(kind.size + 8)];
    await expect(mounted(`${fill} || { code=$?; rm "$2"/more; exit $code; }`, ...over)).rejects.toThrow('No space left on device');

    await devices.well('mount "$1" "$2"', block, mount);
    const load = scene.beside('fio', [`--filename=${path.join(mount, 'load')}`, ...FIO_LOAD]);
    try {
      const { writes } = await volumeStats(host, 'osl:oracle@0');
      await waitFor(async () => (await volumeStats(host, 'osl:oracle@0')).writes > writes + 300, WAIT_MS, 'fio writes');
      host.writeConfig('rssrv', serverConfig(network, { volumes: { shown, oracle: { ...oracle, path: file, size: `${kind.grown}m` } } }));
      const toldMs = performance.now();
      process.kill(host.pid('rssrv'), 'SIGHUP');
      await waitFor(async () => (await sizes()) === `${kind.grown * MIB}\n`.repeat(2), WAIT_MS, 'Both devices have grown');
      report(`growth beneath ${kind.name}, under load, is shown by both devices`, { 'after ms': performance.now() - toldMs });
      expect(await listed(block)).toBe(`${kind.grown * MIB} 0 ${kind.blocksize} ${kind.blocksize}`);
      if (kind.grow !== undefined) await devices.well(kind.grow, block, mount);
    } finally {
      load.kill('SIGINT');
      await load.ended;
      await devices.well('umount "$1"', mount);
    }
    expect(await load.ended).toMatchObject({ stderr: '', stdout: expect.stringContaining('err= 0') });
    if (kind.grow !== undefined) await mounted(fill, ...over);
    await devices.well(kind.check, block);
    await mounted('diff -r "$3" "$2"/tree', DOCS);
    await host.rsconfigWell('-d');
    expect(devices.mounts()).toEqual([]);
    await devices.well(kind.check, file);
  },
);
