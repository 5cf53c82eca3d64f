// Tests what counts as a use of a volume's block device, with made trees of /sys: partitions, btrfs over one and two devices, LVM, md, loop
// devices on the device, swap on each of them, and mounts in other mount namespaces. Also tests what a forced removal writes back, and which
// swap space is on a volume. The integration test device-users.test.ts uses the kernel's own file systems.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MachineDevices } from '@rsio/base/daemon/block-stack';
import { parseMountTable } from '@rsio/base/daemon/mount-table';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SeenMount, swapsOn, unwrittenOn, usesOf } from './device-use.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'rsio-sys-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const OWN = '7:3';

/** Makes a block device. `disk`: the disk of a partition. `files`: further files of its folder. */
function device(name: string, number: string, { disk = '', files = {} }: { disk?: string; files?: Record<string, string> } = {}): void {
  const folder = path.join(root, 'sys/devices', disk, name);
  for (const [file, text] of Object.entries({ dev: number, ...(disk === '' ? {} : { partition: '1' }), ...files })) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), `${text}\n`);
  }
  link(folder, `sys/dev/block/${number}`);
  link(folder, `sys/class/block/${name}`);
  if (disk === '') link(folder, `sys/block/${name}`);
}

function link(target: string, place: string): void {
  mkdirSync(path.dirname(path.join(root, place)), { recursive: true });
  symlinkSync(target, path.join(root, place));
}

function folder(place: string): void {
  mkdirSync(path.join(root, place), { recursive: true });
}

function holder(name: string, above: string): void {
  link(path.join(root, 'sys/class/block', above), `sys/devices/${name}/holders/${above}`);
}

function mounts(text: string, whose = '', procRoot = ''): SeenMount[] {
  return parseMountTable(text).map((mount) => ({ ...mount, whose, root: procRoot }));
}

function tables(seen: readonly SeenMount[] = [], swaps: readonly string[] = []) {
  return { mounts: seen, swaps, facts: new MachineDevices(root) };
}

const uses = (seen: readonly SeenMount[] = [], swaps: readonly string[] = []): string[] =>
  usesOf([OWN], new Set([OWN]), tables(seen, swaps));

const at = (number: string, place: string, type: string, source: string): string => `40 1 ${number} / ${place} rw - ${type} ${source} rw\n`;

test('a device without users has none, and neither has one with partitions', () => {
  device('loop3', OWN);
  device('loop31', '7:31');
  expect(uses(mounts(at('7:31', '/other', 'ext4', '/dev/loop31')), ['/dev/loop31'])).toEqual([]);
  device('loop3p1', '259:1', { disk: 'loop3' });
  expect(uses()).toEqual([]);
});

test('a mounted partition is a use, and so is swap on one', () => {
  device('loop3', OWN);
  device('loop3p1', '259:1', { disk: 'loop3' });
  device('loop3p2', '259:2', { disk: 'loop3' });
  expect(uses(mounts(at('259:1', '/p', 'xfs', '/dev/loop3p1')), ['/dev/loop3p2'])).toEqual(['mount point /p', 'swap /dev/loop3p2']);
  expect(uses([], ['/dev/loop3'])).toEqual(['swap']);
});

test('btrfs has a number of its own, and a mount may name another device of the file system', () => {
  device('loop3', OWN);
  device('loop4', '7:4');
  link(path.join(root, 'sys/class/block/loop3'), 'sys/fs/btrfs/67d5bd0e/devices/loop3');
  folder('sys/fs/btrfs/features');
  expect(uses(mounts(at('0:39', '/b', 'btrfs', '/dev/loop3')))).toEqual(['mount point /b']);
  link(path.join(root, 'sys/class/block/loop4'), 'sys/fs/btrfs/67d5bd0e/devices/loop4');
  expect(uses(mounts(at('0:39', '/b', 'btrfs', '/dev/loop4') + at('0:40', '/sub', 'btrfs', '/dev/loop4')))).toEqual([
    'mount point /b',
    'mount point /sub',
  ]);
});

test('a file system that no mount table shows is a use, of whatever type', () => {
  device('loop3', OWN);
  device('loop3p1', '259:1', { disk: 'loop3' });
  folder('sys/fs/ext4/loop3p1');
  expect(uses()).toEqual(['file system ext4 on loop3p1, whose mount no process sees']);
  expect(uses(mounts(at('259:1', '/p', 'ext4', '/dev/loop3p1')))).toEqual(['mount point /p']);
  link(path.join(root, 'sys/class/block/loop3'), 'sys/fs/btrfs/67d5bd0e/devices/loop3');
  expect(uses(mounts(at('259:1', '/p', 'ext4', '/dev/loop3p1')))).toEqual([
    'mount point /p',
    'file system btrfs on loop3, whose mount no process sees',
  ]);
});

test('stacked devices and loop devices are uses, at any height, with what is on them', () => {
  device('loop3', OWN);
  device('loop3p1', '259:1', { disk: 'loop3' });
  device('dm-0', '253:0', { files: { 'dm/name': 'vg-data' } });
  device('md127', '9:127');
  device('loop9', '7:9', { files: { 'loop/backing_file': '/dev/dm-0' } });
  holder('loop3/loop3p1', 'dm-0');
  holder('loop3', 'md127');
  const seen = mounts(at('7:9', '/deep', 'ext4', '/dev/loop9') + at('0:50', '/md', 'btrfs', '/dev/md127'));
  expect(uses(seen, ['/dev/mapper/vg-data'])).toEqual([
    'mount point /deep',
    'mount point /md',
    'swap /dev/mapper/vg-data',
    'device md127',
    'device dm-0',
    'loop device /dev/loop9',
  ]);
  expect(uses()).toEqual(['device md127', 'device dm-0', 'loop device /dev/loop9']);
});

test('a loop device on the raw device is a use, and a mount in another mount namespace names its process', () => {
  device('loop3', OWN);
  device('loop5', '7:5');
  const others = mounts(at('7:5', '/in', 'ext4', '/dev/loop5'), ' of process 71 (sh)', '/proc/71/root');
  expect(usesOf([OWN, '7:5'], new Set([OWN]), tables(others))).toEqual(['mount point /in of process 71 (sh)', 'loop device /dev/loop5']);
});

// Regression: each service with mounts of its own was named as a user, although the one mount that it had copied was in use.
test('a copy of a mount in another mount namespace names nobody while rsiod sees the mount itself', () => {
  device('loop3', OWN);
  const here = mounts(at(OWN, '/mnt', 'ext4', '/dev/loop3'));
  const copies = mounts(at(OWN, '/mnt', 'ext4', '/dev/loop3'), ' of process 71 (chronyd)', '/proc/71/root');
  expect(uses([...here, ...copies])).toEqual(['mount point /mnt']);
  expect(uses(copies)).toEqual(['mount point /mnt of process 71 (chronyd)']);
});

test('a circle of devices ends, and so does a tower', () => {
  device('loop3', OWN);
  device('dm-0', '253:0');
  holder('loop3', 'dm-0');
  holder('dm-0', 'loop3');
  expect(uses()).toEqual(['device dm-0']);
  for (let number = 1; number < 80; number++) {
    device(`dm-${number}`, `253:${number}`);
    holder(`dm-${number - 1}`, `dm-${number}`);
  }
  expect(uses().at(-1)).toBe('more devices than rsiod looks at');
});

test('a forced removal writes back each file system once, the upper ones first, and all devices', () => {
  device('loop3', OWN);
  device('loop3p1', '259:1', { disk: 'loop3' });
  device('loop9', '7:9', { files: { 'loop/backing_file': '/dev/loop3p1' } });
  const seen = [
    ...mounts(at('7:3', '/a', 'ext4', '/dev/loop3') + at('7:3', '/bind', 'ext4', '/dev/loop3')),
    ...mounts(at('7:3', '/a', 'ext4', '/dev/loop3'), ' of process 71 (sh)', '/proc/71/root'),
    ...mounts(at('7:9', '/in', 'ext4', '/dev/loop9'), ' of process 71 (sh)', '/proc/71/root'),
  ];
  expect(unwrittenOn(OWN, tables(seen))).toEqual({
    folders: ['/proc/71/root/in', '/a'],
    devices: ['/dev/loop9', '/dev/loop3p1', '/dev/loop3'],
  });
});

test('swap space is found on a device, on what stands on it, and in a file on it', () => {
  device('loop3', OWN);
  device('loop3p2', '259:2', { disk: 'loop3' });
  device('loop31', '7:31');
  device('sda2', '8:2');
  const seen = mounts(
    at('8:1', '/', 'ext4', '/dev/sda1') + at('7:3', '/mnt/a\\040b', 'ext4', '/dev/loop3') + at('8:3', '/mnt/a\\040b/o', 'ext4', '/dev/sdb'),
  );
  const swaps = ['/dev/loop3', '/dev/loop3p2', '/mnt/a b/swapfile', '/mnt/a b/loop31'];
  expect(swapsOn(OWN, tables(seen, [...swaps, '/dev/sda2', '/dev/loop31', '/swapfile', '/mnt/a b/o/swapfile']))).toEqual(swaps);
});
