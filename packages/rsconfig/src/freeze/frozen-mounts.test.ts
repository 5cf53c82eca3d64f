// Tests which mounts are frozen for which volumes, with plain devices, partitions, LVM over several volumes, btrfs and bind mounts. Also
// tests the refusals before anything is frozen. Freezing itself is tested in test/integration/freeze.test.ts.

import { expect, test } from 'vitest';
import type { DeviceFacts } from '@rsio/base/daemon/block-stack';
import { mountsToFreeze } from './frozen-mounts.ts';

const NUMBERS: Readonly<Record<string, string>> = {
  '/dev/av0/db': '7:1',
  '/dev/loop1': '7:1',
  '/dev/av0/wal': '7:2',
  '/dev/av0/lv': '7:3',
  '/dev/av0/part': '7:5',
  '/dev/loop5': '7:5',
  '/dev/loop6': '7:6',
};
const ABOVE: Readonly<Record<string, readonly string[]>> = { '7:1': ['259:1'], '7:2': ['253:0'], '7:3': ['253:0'] };
const BELOW: Readonly<Record<string, readonly string[]>> = { '253:0': ['7:2', '7:3'] };
/** A btrfs file system over two devices. */
const PAIR = ['7:5', '7:6'];
const FACTS: DeviceFacts = {
  numberOf: (path) => NUMBERS[path] ?? null,
  above: (number) => ABOVE[number] ?? [],
  below: (number) => BELOW[number] ?? [],
  isPartition: () => false,
  nameOf: (number) => number,
  members: (number) => (PAIR.includes(number) ? PAIR : [number]),
  fileSystemOn: () => null,
};
const DB = { label: 'osl:db@0', device: '/dev/av0/db' };
const WAL = { label: 'osl:wal@0', device: '/dev/av0/wal' };
const PART = { label: 'osl:part@0', device: '/dev/av0/part' };
const LV = { label: 'osl:lv@0', device: '/dev/av0/lv' };

function mount(device: string, mountPoint: string, source = '/dev/x') {
  return { device, mountPoint, type: 'ext4', source };
}

const ROOT = mount('254:0', '/');
const points = (volumes: Parameters<typeof mountsToFreeze>[0], mounts: Parameters<typeof mountsToFreeze>[1]): string[] =>
  mountsToFreeze(volumes, mounts, ['/var/log/rsio'], FACTS).map(({ mountPoint }) => mountPoint);

test('file systems on devices, partitions, LVM and btrfs are found, each once, the last mounted first', () => {
  expect(points([DB], [ROOT, mount('7:1', '/a'), mount('7:1', '/bind')])).toEqual(['/a']);
  expect(points([DB], [ROOT, mount('259:1', '/p1'), mount('7:1', '/a')])).toEqual(['/a', '/p1']);
  expect(points([WAL, LV], [ROOT, mount('253:0', '/lvm')])).toEqual(['/lvm']);
  expect(points([DB], [ROOT, mount('0:44', '/btrfs', '/dev/loop1'), mount('0:45', '/sub', '/dev/loop1')])).toEqual(['/btrfs']);
});

test.each([
  ['a volume that is not mounted', [DB], [ROOT], 'E_USAGE', 'no file system of osl:db@0 (/dev/av0/db) is mounted here'],
  ['one of two volumes that is not', [DB, WAL], [mount('7:1', '/a')], 'E_USAGE', 'no file system of osl:wal@0'],
  ['a volume without a block device', [{ label: 'x', device: 'nbd+unix:///x' }], [ROOT], 'E_USAGE', 'x has no block device here'],
  ['LVM over another volume', [WAL], [mount('253:0', '/lvm')], 'E_IN_USE', '/lvm (/dev/x) is also on device 7:3'],
  ['btrfs over another volume', [PART], [mount('0:44', '/btrfs', '/dev/loop5')], 'E_IN_USE', '/btrfs (/dev/loop5) is also on device 7:6'],
  ['btrfs whose mount names the other device', [PART], [mount('0:44', '/btrfs', '/dev/loop6')], 'E_IN_USE', 'is also on device 7:6'],
  [
    'a subvolume beside that with our log',
    [DB],
    [mount('0:44', '/a', '/dev/loop1'), mount('0:45', '/var/log', '/dev/loop1')],
    'E_IN_USE',
    '/var/log/rsio is on /a',
  ],
  ['a file system with our log', [DB], [ROOT, mount('7:1', '/var/log')], 'E_IN_USE', '/var/log/rsio is on /var/log'],
  ['our log through another mount of it', [DB], [ROOT, mount('7:1', '/a'), mount('7:1', '/var/log/rsio')], 'E_IN_USE', 'is on /a'],
] as const)('%s is refused', (_what, volumes, mounts, code, text) => {
  expect(() => points(volumes, mounts)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
});

test('a file system that covers the one with our log is not it', () => {
  expect(points([DB], [mount('7:1', '/'), mount('254:0', '/var/log')])).toEqual(['/']);
});

test('a loop of devices ends, and too many devices are refused', () => {
  const endless: DeviceFacts = { ...FACTS, above: (number) => [`9:${Number(number.split(':')[1]) + 1}`] };
  expect(() => mountsToFreeze([DB], [ROOT], [], endless)).toThrow('More than 64 devices stand on osl:db@0');
  const round: DeviceFacts = { ...FACTS, above: () => ['7:1'] };
  expect(() => mountsToFreeze([DB], [ROOT], [], round)).toThrow('is mounted here');
});
