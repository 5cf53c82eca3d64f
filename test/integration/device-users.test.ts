// What uses the block device of a volume, with file systems, partitions, loop devices and swap space of this kernel: each use is named by
// `-d`, `rsconfig stop` and SIGTERM, which leave everything as it is, and is written back before a removal by force. Also tests that a
// refused detach has no later effect, that a block device removed by another program comes back, and the links of partitions. The unit
// test device-use.test.ts has LVM and md. Skipped without /dev/fuse or loop devices. The kernel of a test machine may know no partition
// tables, so partx makes the partitions.

import { existsSync, readlinkSync } from 'node:fs';
import { expect, it, type TestContext } from 'vitest';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1 << 20;
const WAIT_MS = 30_000;
const TEST_MS = 240_000;
/** Two partitions of 120 MiB each, large enough for a btrfs file system. */
const PARTITIONS = `printf 'label: gpt\\n,120M\\n,\\n' | sfdisk -q --no-reread --wipe never "$1"; partx --add "$(readlink -f "$1")" 2>/dev/null || partx --update "$(readlink -f "$1")"`;
const TOOLS = [
  ['mkfs.ext4', 'e2fsprogs'],
  ['mkfs.btrfs', 'btrfs-progs'],
  ['sfdisk', 'fdisk'],
  ['partx', 'util-linux'],
] as const;

const hosts = useHosts('file');
let made: Promise<DeviceScene> | undefined;

async function sceneOf(context: TestContext): Promise<DeviceScene> {
  needDevices(context);
  for (const [tool, name] of TOOLS) needTool(context, tool, name);
  made ??= DeviceScene.begin(hosts, 'block', { volumes: () => ({ oracle: { size: '256m' }, oraclep1: { type: 'memory', size: '8m' } }) });
  const scene = await made;
  await scene.host.rsconfigWell('-d', '--force');
  await scene.host.rsconfigWell('-a', 'oracle');
  return scene;
}

/** Uses of the device `$1`, which a command begins and another one ends, and what a refusal says. `$2`: a folder of the host. */
const USES: readonly (readonly [what: string, begin: string, named: RegExp, end: string])[] = [
  ['a btrfs file system', 'mkfs.btrfs -q -f "$1"; mount "$1" "$2"', /mount point \S+\/mnt/, 'umount "$2"'],
  [
    'a file system on a partition',
    `${PARTITIONS}; mkfs.ext4 -q "$(readlink -f "$1")p2"; mount "$(readlink -f "$1")p2" "$2"`,
    /mount point \S+\/mnt/,
    'umount "$2"',
  ],
  [
    'btrfs on a partition',
    `${PARTITIONS}; mkfs.btrfs -q -f "$(readlink -f "$1")p1"; mount "$(readlink -f "$1")p1" "$2"`,
    /mount point \S+\/mnt/,
    'umount "$2"',
  ],
  [
    'a file system on a loop device on the device',
    'mkfs.ext4 -q "$1"; other=$(losetup --find --show --offset 0 "$1"); echo "$other" > "$2/../other"; mount "$other" "$2"',
    /mount point \S+\/mnt, loop device \/dev\/loop\d+/,
    'umount "$2"; losetup --detach "$(cat "$2/../other")"',
  ],
  [
    'a loop device on a partition',
    `${PARTITIONS}; losetup --find --show "$(readlink -f "$1")p1" > "$2/../other"`,
    /loop device \/dev\/loop\d+/,
    'losetup --detach "$(cat "$2/../other")"',
  ],
  [
    'swap space on a partition',
    `${PARTITIONS}; mkswap -q "$(readlink -f "$1")p1" > /dev/null; swapon "$(readlink -f "$1")p1"`,
    /swap \/dev\/loop\d+p1/,
    'swapoff "$(readlink -f "$1")p1"',
  ],
  [
    'a program that has opened a partition',
    `${PARTITIONS}; sleep 60 < "$(readlink -f "$1")p1" > /dev/null 2>&1 & echo $! > "$2/../pid"; sleep 1`,
    /process \d+ \(sleep\)/,
    'kill "$(cat "$2/../pid")"',
  ],
  [
    'a btrfs file system in another mount namespace',
    'mkfs.btrfs -q -f "$1"; unshare --mount --propagation private sh -c \'mount "$1" "$2"; exec sleep 60\' sh "$1" "$2" > /dev/null 2>&1 & echo $! > "$2/../pid"; sleep 2',
    /mount point \S+\/mnt of process \d+ \(sleep\)/,
    'kill "$(cat "$2/../pid")"',
  ],
  [
    'a file system that was unmounted lazily',
    'mkfs.ext4 -q "$1"; mount "$1" "$2"; echo x > "$2"/file; sleep 60 < "$2"/file > /dev/null 2>&1 & echo $! > "$2/../pid"; sleep 1; umount -l "$2"',
    /file system ext4 on loop\d+, whose mount no process sees/,
    'kill "$(cat "$2/../pid")"',
  ],
];

const refusals = ({ host }: DeviceScene): number => host.log('rsiod').split('Does not end').length;

it.for(USES)(
  '%s is named by each refusal, which leaves everything as it is',
  { timeout: TEST_MS },
  async ([, begin, named, end], context) => {
    const scene = await sceneOf(context);
    const { devices, host, block } = scene;
    const folder = scene.folder('mnt');
    await devices.well(begin, block, folder);
    try {
      const loop = readlinkSync(block);
      for (const words of [['-d', 'oracle'], ['stop']]) {
        const refused = await host.rsconfig(...words);
        expect(refused.stderr).toMatch(named);
        expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('E_IN_USE') });
      }
      const before = refusals(scene);
      process.kill(host.pid('rsiod'), 'SIGTERM');
      await waitFor(() => refusals(scene) > before, WAIT_MS, 'rsiod refuses SIGTERM');
      expect(readlinkSync(block)).toBe(loop);
      expect((await devices.well('losetup --noheadings --list --output AUTOCLEAR "$1"', loop)).trim()).toBe('0');
    } finally {
      await devices.well(end, block, folder);
    }
    await waitFor(async () => (await host.rsconfig('-d', 'oracle')).code === 0, WAIT_MS, 'The volume can be detached');
  },
);

/** File systems with unwritten data when rsiod ends by force. */
const UNWRITTEN: readonly (readonly [what: string, begin: string, again: string])[] = [
  ['btrfs', 'mkfs.btrfs -q -f "$1"; mount "$1" "$2"', 'mount "$1" "$2"'],
  [
    'ext4 on a partition',
    `${PARTITIONS}; mkfs.ext4 -q "$(readlink -f "$1")p2"; mount -o commit=300 "$(readlink -f "$1")p2" "$2"`,
    'partx --update "$(readlink -f "$1")"; mount "$(readlink -f "$1")p2" "$2"',
  ],
  [
    'ext4 on a loop device on the device',
    'mkfs.ext4 -q "$1"; other=$(losetup --find --show "$1"); echo "$other" > "$2/../other"; mount -o commit=300 "$other" "$2"',
    'losetup --detach "$(cat "$2/../other")"; mount "$1" "$2"',
  ],
];

it.for(UNWRITTEN)('%s writes its data before rsiod ends by force', { timeout: TEST_MS }, async ([, begin, again], context) => {
  const scene = await sceneOf(context);
  const { devices, host, block } = scene;
  const folder = scene.folder('mnt');
  await devices.well(begin, block, folder);
  await devices.well('sync -f "$1"; head -c "$2" /dev/urandom > "$1"/data; sha256sum < "$1"/data > "$1"/../sum', folder, String(5 * MIB));
  await host.rsconfigWell('stop', '--force');
  await devices.well('umount "$1"', folder);
  await host.start('rsiod');
  await host.pathsUp(1, WAIT_MS);
  await host.rsconfigWell('-a', 'oracle');
  await devices.well(again, block, folder);
  await devices.well('sha256sum < "$1"/data | diff - "$1"/../sum; umount "$1"', folder);
});

it('a claim of the kernel that no list shows is a use', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'mksquashfs', 'squashfs-tools');
  const scene = await sceneOf(context);
  const { devices, host, block } = scene;
  const folder = scene.folder('mnt');
  // The kernel shows no list of squashfs file systems, and after a lazy unmount, no mount table shows this one.
  const begin =
    'echo x > "$2"/file; mksquashfs "$2" "$2/../image" -quiet -no-progress; dd if="$2/../image" of="$1" bs=1M conv=notrunc,fsync 2> /dev/null; mount -t squashfs "$1" "$2"; sleep 60 < "$2"/file > /dev/null 2>&1 & echo $! > "$2/../pid"; sleep 1; umount -l "$2"';
  await devices.well('rm -rf "$2"/*; eval "$3"', block, folder, begin);
  for (const words of [['-d', 'oracle'], ['stop']])
    expect((await host.rsconfig(...words)).stderr).toMatch(/a user in the kernel that has claimed \/dev\/loop\d+/);
  await devices.well('kill "$(cat "$1/../pid")"', folder);
  await waitFor(async () => (await host.rsconfig('-d', 'oracle')).code === 0, WAIT_MS, 'The volume can be detached');
});

it('a block device that another program detaches while it is mounted is made again', { timeout: TEST_MS }, async (context) => {
  const scene = await sceneOf(context);
  const { devices, host, block } = scene;
  const folder = scene.folder('mnt');
  await devices.well(
    'mkfs.ext4 -q "$1"; mount "$1" "$2"; losetup --detach "$(readlink -f "$1")"; echo kept > "$2"/file; umount "$2"',
    block,
    folder,
  );
  await host.logged('rsiod', new RegExp(`${block} of osl:oracle@0 was detached by another program: it is /dev/loop`));
  expect(await devices.well('mount "$1" "$2"; cat "$2"/file; umount "$2"', block, folder)).toBe('kept\n');
});

it('partitions have links, which follow them, and give way to a volume of their name', { timeout: TEST_MS }, async (context) => {
  const scene = await sceneOf(context);
  const { devices, host, block } = scene;
  await devices.well(PARTITIONS, block);
  const loop = readlinkSync(block);
  const links = (): string[] => [1, 2].map((number) => (existsSync(`${block}p${number}`) ? readlinkSync(`${block}p${number}`) : ''));
  await waitFor(() => links().join() === `${loop}p1,${loop}p2`, WAIT_MS, 'Both partitions have links');
  await host.rsconfigWell('-a', 'oraclep1');
  expect(links()[0]).toMatch(/^\/dev\/loop\d+$/);
  await host.rsconfigWell('-d', 'oraclep1');
  await waitFor(() => links()[0] === `${loop}p1`, WAIT_MS, 'The partition has its link again');
  await devices.well('partx --delete --nr 2 "$1"', loop);
  await waitFor(() => links()[1] === '', WAIT_MS, 'The link of the former partition is gone');
  await host.rsconfigWell('-d', 'oracle');
  expect(links()).toEqual(['', '']);
  expect(existsSync(`${loop}p1`)).toBe(false);
});
