// Tests which mounts count as raw devices of rsiod: those of this release and of earlier releases, including mounts in the form in which
// mount(8) of Debian 13 records them. If a restarted rsiod does not recognize a raw device, the device's I/O fails.

import { parseMountTable } from '@rsio/base/daemon/mount-table';
import { expect, it } from 'vitest';
import { isRawMount } from './raw-device.ts';

it('a raw device is found in the mount table, whatever mount made of its type', () => {
  const line = (type: string, source: string): string => `44 42 0:52 / /dev/av0/rdb rw shared:2 - ${type} ${source} rw,user_id=0`;
  const isRaw = (type: string, source: string): boolean[] => parseMountTable(line(type, source)).map(isRawMount);
  expect(isRaw('fuse', 'rsio:/run/rsio/rsiod:osl:db@0')).toEqual([true]);
  expect(isRaw('fuse.rsio', 'rsio:/run/rsio/rsiod:osl:db@0')).toEqual([true]);
  expect(isRaw('fuse.sshfs', 'rsio:/home')).toEqual([false]);
  expect(isRaw('fuse', 'other')).toEqual([false]);
  expect(isRaw('ext4', 'rsio:/run/rsio/rsiod:osl:db@0')).toEqual([false]);
});
