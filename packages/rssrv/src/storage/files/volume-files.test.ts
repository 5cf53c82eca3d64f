// Tests the files of a volume, opened by path or passed by the listener: the order and number of the files, and unused descriptors.
// file-backend.test.ts and test/integration/confined-workers.test.ts test the opening of backends.

import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../testing/backend-scene.ts';
import { filesByPath, PassedFiles } from './volume-files.ts';

const directory = temporaryDirectory();

it('a writable file has a second descriptor with O_DSYNC; a read-only file and a file in memory have none', async () => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, 'x');
  const synced = await filesByPath.open({ path: file, readonly: false, isVolatile: false });
  expect(fs.readFileSync(`/proc/self/fdinfo/${synced.synced}`, 'utf8')).toMatch(/^flags:\s+0?\d*1\d*2$/m);
  for (const wish of [
    { path: file, readonly: true, isVolatile: false },
    { path: file, readonly: false, isVolatile: true },
  ]) {
    const { descriptor, synced: none } = await filesByPath.open(wish);
    expect(none).toBeNull();
    fs.closeSync(descriptor);
  }
  for (const one of [synced.descriptor, synced.synced ?? -1]) fs.closeSync(one);
  await expect(filesByPath.open({ path: path.join(directory, 'missing'), readonly: true, isVolatile: false })).rejects.toThrow('ENOENT');
});

it('passed files are taken in their order, and what no backend has taken is given back', async () => {
  const wish = { path: '/a', readonly: false, isVolatile: false };
  const files = new PassedFiles([10, 11, 12, 13, 14]);
  expect(await files.open(wish)).toEqual({ descriptor: 10, synced: 11 });
  expect(await files.open({ ...wish, readonly: true })).toEqual({ descriptor: 12, synced: null });
  expect(await files.open(wish)).toEqual({ descriptor: 13, synced: 14 });
  await expect(files.open(wish)).rejects.toThrow('The listener has not passed /a');
  const short = new PassedFiles([10]);
  await expect(short.open(wish)).rejects.toThrow('The listener has not passed /a');
  expect([short.rest(), short.rest()]).toEqual([[10], []]);
});
