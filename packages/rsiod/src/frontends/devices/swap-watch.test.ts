// Tests which swap space counts as being on a volume, according to the kernel's tables. The test supplies the text of /proc/swaps and the
// mount table; the periodic check is not tested here.

import { expect, it } from 'vitest';
import { parseMountTable } from '@rsio/common/daemon/mount-table';
import { swapsOn } from './swap-watch.ts';

const TARGETS = [
  { label: 'osl:oracle@0', device: '/dev/loop3', number: '7:3' },
  { label: 'osl:data@0', device: '/dev/loop4', number: null },
];
const MOUNTS = parseMountTable(
  '20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 7:3 / /mnt/a\\040b rw - ext4 /dev/loop3 rw\n22 21 8:2 / /mnt/a\\040b/other rw - ext4 /dev/sdb rw\n',
);
const HEAD = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';

function found(...files: readonly string[]): string[] {
  const text = HEAD + files.map((file) => `${file}                              partition\t1024\t\t0\t\t-2\n`).join('');
  return swapsOn(text, TARGETS, MOUNTS).map(({ label, swap }) => `${label} ${swap}`);
}

it('a device of ours, a partition on it, and a file on it count as swap space on a volume', () => {
  expect(found('/dev/loop3', '/dev/loop4p2', '/mnt/a\\040b/swapfile')).toEqual([
    'osl:oracle@0 /dev/loop3',
    'osl:data@0 /dev/loop4p2',
    'osl:oracle@0 /mnt/a b/swapfile',
  ]);
});

it('swap space elsewhere does not count', () => {
  expect(found('/dev/sda2', '/dev/loop31', '/swapfile', '/mnt/a\\040b/other/swapfile')).toEqual([]);
  expect(found()).toEqual([]);
});
