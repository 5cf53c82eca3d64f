// Tests that quick syncs end in a later event-loop turn and fail like real syncs, and that the real syncs are restored. unit-setup.ts
// decides which test files have quick syncs.

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeSyncsQuick } from './quick-syncs.ts';

test('a quick sync ends later than its call, and fails if the descriptor is not open', async () => {
  const [before, undo] = [fs.fdatasync, makeSyncsQuick()];
  const file = await open('/dev/null');
  let isOver = false;
  const over = promisify(fs.fdatasync)(file.fd).then(() => (isOver = true));
  expect(isOver).toBe(false);
  await over;
  await promisify(fs.fsync)(file.fd);
  await file.sync();
  await file.datasync();
  for (const sync of [fs.fsyncSync, fs.fdatasyncSync]) expect(() => sync(file.fd)).not.toThrow();
  const { fd } = file;
  await file.close();
  for (const sync of [fs.fsync, fs.fdatasync]) await expect(promisify(sync)(fd)).rejects.toMatchObject({ code: 'EBADF' });
  for (const sync of [fs.fsyncSync, fs.fdatasyncSync]) expect(() => sync(fd)).toThrow('EBADF');
  await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' });
  await expect(file.datasync()).rejects.toMatchObject({ code: 'EBADF' });
  undo();
  expect(fs.fdatasync).toBe(before);
});
