// Tests the parser with lines of the kernel's mount table, with and without optional fields and with escaped characters. The tests that
// make real mounts read the real table.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseMountTable } from './mount-table.ts';

it('device, mount point, type and source are found, whatever fields are between them', () => {
  const text = [
    '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
    '44 42 0:52 / /dev/av0/roracle rw,nosuid shared:2 master:1 - fuse.rsio rsio:/run/rsio/rsiod:osl:oracle@0 rw,user_id=0',
    '45 27 7:3 / /mnt/my\\040data\\134x rw - ext4 /dev/loop3 rw',
    'garbage',
    '1 2 3:4 / /x rw',
    '',
  ].join('\n');
  expect(parseMountTable(text)).toEqual([
    { device: '254:0', mountPoint: '/', type: 'ext4', source: '/dev/vda' },
    { device: '0:52', mountPoint: '/dev/av0/roracle', type: 'fuse.rsio', source: 'rsio:/run/rsio/rsiod:osl:oracle@0' },
    { device: '7:3', mountPoint: '/mnt/my data\\x', type: 'ext4', source: '/dev/loop3' },
  ]);
});

it('any text is parsed without an exception', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseMountTable(text)));
});
