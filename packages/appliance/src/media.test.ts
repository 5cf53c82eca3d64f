// Programs that hang, and files on removable disks that would lead elsewhere. Invariant: no disk is mounted; the scene.programs of a test only note
// their command lines.

import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useApplianceScene } from './testing/appliance-scene.ts';
import { runOnMachine } from './machine.ts';
import { onMedia } from './media.ts';

const scene = useApplianceScene('proc', 'run/rsio-appliance/media');

test('a file on a removable disk is used below its mount, and links and pipes are refused', async () => {
  const folder = `${scene.root}/run/rsio-appliance/media`;
  writeFileSync(`${scene.root}/proc/mounts`, `/dev/sdb ${folder} vfat rw 0 0\n`);
  writeFileSync(join(folder, 'there'), 'x');
  symlinkSync('/dev/null', join(folder, 'link'));
  const disk = { name: 'sdb', type: 'disk', size: 1e9, fstype: 'vfat', mountpoints: [] };
  scene.output = (program) => (program === 'lsblk' ? JSON.stringify({ blockdevices: [disk] }) : '');
  const read = (file: string, isWritten = false) => onMedia(scene, { disk: 'sdb', file, isWritten }, (path) => Promise.resolve(path));
  expect(await read('there')).toBe(join(folder, 'there'));
  expect(scene.programs[0]).toBe(`umount ${folder}`);
  expect(scene.programs.slice(-2)).toEqual([`mount -o ro,nosuid,nodev,noexec,nosymfollow /dev/sdb ${folder}`, `umount ${folder}`]);
  for (const file of ['missing', 'link', '.']) await expect(read(file)).rejects.toThrow(`There is no file "${file}" on sdb`);
  await expect(read('../x', true)).rejects.toThrow('Wrong name');
  // The disk was pulled out: the error of the work counts, and not that of umount.
  scene.failing = 'umount';
  writeFileSync(`${scene.root}/proc/mounts`, '');
  const pulled = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
  const work = onMedia(scene, { disk: 'sdb', file: 'new', isWritten: true }, () => Promise.reject(pulled));
  await expect(work).rejects.toThrow('new on sdb cannot be used (EIO): put the disk in again');
});

test('a program has a bounded time, and its own words are in the error', async () => {
  expect(await runOnMachine('cat', [], { input: 'x' })).toBe('x');
  await expect(runOnMachine('sh', ['-c', 'echo why >&2; exit 1'])).rejects.toThrow('sh failed: why');
  await expect(runOnMachine('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow('sleep failed: it did not end within 0.05 s');
});
