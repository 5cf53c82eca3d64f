// Tests which directories of this machine are on file systems in memory. Machines have different mounts, so each test case checks that its
// directory exists. volumes.test.ts and environment-check.test.ts test the refusals and warnings that result from the kind of file system.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileSystemOf } from './file-system.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
});
afterEach(() => removeFolder(directory));

test("a path below /dev is on the devices' file system, also by another name", async () => {
  fs.symlinkSync('/dev', path.join(directory, 'link'));
  expect([await fileSystemOf('/dev'), await fileSystemOf(path.join(directory, 'link'))]).toEqual(['devices', 'devices']);
  fs.mkdirSync(path.join(directory, 'devices/mapper'), { recursive: true });
  expect(await fileSystemOf(path.join(directory, 'devices/mapper'), path.join(directory, 'devices'))).toBe('devices');
});

test("a disk's file system and a missing path are neither; a file system in memory is recognised", async () => {
  expect(await fileSystemOf(path.join(directory, 'none'))).toBe('other');
  expect(await fileSystemOf('/proc')).toBe('other');
  const mounts = fs
    .readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  for (const [, place = '', type = ''] of mounts) {
    if (place === '/' && type !== 'tmpfs') expect(await fileSystemOf('/')).toBe('other');
    if (type === 'tmpfs' && !place.startsWith('/dev') && fs.existsSync(place)) expect(await fileSystemOf(place)).toBe('tmpfs');
  }
});

// The file system of /dev may be mounted under another name, for example in a chroot.
test("the devices' file system is recognised wherever it is mounted, unless it is that of the root", async (context) => {
  const memory = '/dev/shm';
  const isOther = fs.existsSync(memory) && fs.statSync(memory).dev !== fs.statSync('/').dev;
  context.skip(!isOther, `${memory} is no file system of its own here`);
  const own = fs.mkdtempSync(path.join(memory, 'rssrv-'));
  try {
    for (const name of ['devices', 'elsewhere']) fs.mkdirSync(path.join(own, name));
    // Mount outside of /dev, because every path below /dev counts as `devices` by its name.
    const mounted = path.join(directory, 'mounted');
    fs.symlinkSync(path.join(own, 'elsewhere'), mounted);
    expect(await fileSystemOf(mounted, path.join(own, 'devices'))).toBe('devices');
  } finally {
    fs.rmSync(own, { recursive: true });
  }
  for (const name of ['devices', 'elsewhere']) fs.mkdirSync(path.join(directory, name));
  const isOfRoot = fs.statSync(directory).dev === fs.statSync('/').dev;
  if (isOfRoot) expect(await fileSystemOf(path.join(directory, 'elsewhere'), path.join(directory, 'devices'))).toBe('other');
});
