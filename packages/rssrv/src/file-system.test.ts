// Which directories are memory, as this machine has them: what is mounted differs, so each case looks whether it is there.
// Leaves what is refused, and what is only told, to volumes.test.ts and surroundings.test.ts.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileSystemOf } from './file-system.ts';

let directory = '';
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

test('below /dev is where devices are, also by another name', async () => {
  fs.symlinkSync('/dev', path.join(directory, 'link'));
  expect([await fileSystemOf('/dev'), await fileSystemOf(path.join(directory, 'link'))]).toEqual(['devices', 'devices']);
  fs.mkdirSync(path.join(directory, 'devices/mapper'), { recursive: true });
  expect(await fileSystemOf(path.join(directory, 'devices/mapper'), path.join(directory, 'devices'))).toBe('devices');
});

test('a file system of files is none of them, nor is what is not there; a file system in memory is told', async () => {
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
