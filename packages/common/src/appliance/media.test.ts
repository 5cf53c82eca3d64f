// Programs that hang, and files on removable disks that would lead elsewhere. Invariant: no disk is mounted; the programs of a test only note
// their command lines.

import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { removeFolder } from '../testing/remove-folder.ts';
import { runOnMachine } from './machine.ts';
import { onMedia } from './media.ts';

test('a file on a removable disk is used below its mount, and links and pipes are refused', async () => {
  const root = mkdtempSync(join(tmpdir(), 'rsio-media-'));
  onTestFinished(() => removeFolder(root));
  const folder = `${root}/run/rsio-appliance/media`;
  for (const one of [`${root}/proc`, folder]) mkdirSync(one, { recursive: true });
  writeFileSync(`${root}/proc/mounts`, `/dev/sdb ${folder} vfat rw 0 0\n`);
  writeFileSync(join(folder, 'there'), 'x');
  symlinkSync('/dev/null', join(folder, 'link'));
  const programs: string[] = [];
  const run = (program: string, args: readonly string[]): Promise<string> => {
    if (program === 'lsblk')
      return Promise.resolve(JSON.stringify({ blockdevices: [{ name: 'sdb', type: 'disk', size: 1e9, fstype: 'vfat', mountpoints: [] }] }));
    programs.push([program, ...args].join(' '));
    return Promise.resolve('');
  };
  const read = (file: string, isWritten = false) =>
    onMedia({ root, run }, { disk: 'sdb', file, isWritten }, (path) => Promise.resolve(path));
  expect(await read('there')).toBe(join(folder, 'there'));
  expect(programs[0]).toBe(`umount ${folder}`);
  expect(programs.slice(-2)).toEqual([`mount -o ro,nosuid,nodev,noexec,nosymfollow /dev/sdb ${folder}`, `umount ${folder}`]);
  for (const file of ['missing', 'link', '.']) await expect(read(file)).rejects.toThrow(`There is no file "${file}" on sdb`);
  await expect(read('../x', true)).rejects.toThrow('Wrong name');
  // The disk was pulled out: the error of the work counts, and not that of umount.
  const gone = (program: string, args: readonly string[]) =>
    program === 'umount' ? Promise.reject(new Error('umount')) : run(program, args);
  writeFileSync(`${root}/proc/mounts`, '');
  const pulled = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
  const work = onMedia({ root, run: gone }, { disk: 'sdb', file: 'new', isWritten: true }, () => Promise.reject(pulled));
  await expect(work).rejects.toThrow('new on sdb cannot be used (EIO): put the disk in again');
});

test('a program has a bounded time, and its own words are in the error', async () => {
  expect(await runOnMachine('cat', [], { input: 'x' })).toBe('x');
  await expect(runOnMachine('sh', ['-c', 'echo why >&2; exit 1'])).rejects.toThrow('sh failed: why');
  await expect(runOnMachine('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow('sleep failed: it did not end within 0.05 s');
});
