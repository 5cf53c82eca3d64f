// Tests that copies to files on storage that does not answer occupy a bounded number of threads of the server. Further steps are refused at
// once. As soon as the storage answers, copies are possible again. A stand-in for stat hangs, like stat in a folder of an NFS server that
// has stopped.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { systemClock } from '@rsio/base/lib/clock';
import { expect, test, vi } from 'vitest';
import { FILE_STEPS_MAX, FILE_STEPS_MOUNT_MAX } from '../limits.ts';
import { ToFile } from './to-file.ts';

const storage = vi.hoisted(() => ({ silent: Promise.resolve(), looks: 0 }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const stat = async (file: string): Promise<unknown> => {
    storage.looks++;
    await storage.silent;
    return real.stat(file);
  };
  return { ...real, stat };
});

test('storage that hangs occupies few threads', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-silent-'));
  const unused = (): never => {
    throw new Error('Nothing is copied');
  };
  const guarded = () => ({ pools: [], volumes: [] });
  const files = new ToFile({
    clock: systemClock,
    log: { warn: unused },
    convert: unused,
    check: unused,
    user: () => null,
    guarded,
    reached: () => undefined,
    mountOf: (file) => Promise.resolve(path.basename(file)),
  });
  const check = (name = 'x.raw') => files.check({ kind: 'file', path: path.join(folder, name), format: 'raw', isForced: false });
  let answer = (): void => undefined;
  storage.silent = new Promise((resolve) => (answer = resolve));
  const hanging = Array.from({ length: FILE_STEPS_MOUNT_MAX }, () => check());
  await expect(check()).rejects.toThrow(/^2 steps of copies to x.raw have not ended: check its file system/);
  hanging.push(check('other.raw'));
  for (let again = 0; again < 3; again++)
    await expect(check('third.raw')).rejects.toThrow(/^3 steps of copies to files have not ended: check the file systems/);
  expect(storage.looks).toBe(FILE_STEPS_MAX);
  answer();
  await Promise.all(hanging);
  await check();
  await removeFolder(folder);
});
