// Tests what the listener says about the space of open volumes without a look at a path: always that of the file that the volume has now,
// and nothing in case of doubt. test/integration/used-space.test.ts tests lists.

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { volumeConfig } from '../testing/volume-config.ts';
import type { Storage } from './open-storage.ts';
import { occupiedBytes } from './volume-storage.ts';
import { Volumes } from './volumes.ts';

const KIB = 1024;
const ID = 'a3b1d1de-54a7-4d0e-9df3-8d2f5a3c1f10';
const OTHER_ID = 'b3b1d1de-54a7-4d0e-9df3-8d2f5a3c1f10';
let directory = '';
let file = '';
const closers: (() => Promise<void>)[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  file = path.join(directory, 'data');
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await removeFolder(directory);
});

function write(to: string, bytes: number): void {
  fs.writeFileSync(to, Buffer.alloc(bytes, 1));
}

function ofPool(changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig {
  const pool = { name: 'fast', stamp: null, ids: [], isThick: false };
  return volumeConfig({ path: file, id: ID, sizeBytes: 256 * KIB, type: 'file', pool, ...changes });
}

async function storage(changes: Partial<Storage> = {}): Promise<Storage> {
  const handle = await open(file, 'r+');
  closers.push(() => handle.close());
  return { volume: ofPool(), id: ID, type: 'file', path: file, handle, isCreated: false, identity: null, isLocal: true, ...changes };
}

test('each look sees the file as it is at that moment', async () => {
  write(file, 0);
  const open = await storage();
  expect(occupiedBytes(open, ofPool())).toBe(0);
  write(file, 64 * KIB);
  expect(occupiedBytes(open, ofPool())).toBe(64 * KIB);
  fs.truncateSync(file, 0);
  expect(occupiedBytes(open, ofPool())).toBe(0);
});

test('nothing is said about a file that was removed or replaced after it was opened', async () => {
  write(file, 8 * KIB);
  const replaced = await storage();
  write(`${file}.new`, 64 * KIB);
  fs.renameSync(`${file}.new`, file);
  expect(occupiedBytes(replaced, ofPool())).toBeNull();
  const removed = await storage();
  expect(occupiedBytes(removed, ofPool())).toBe(64 * KIB);
  fs.rmSync(file);
  expect(occupiedBytes(removed, ofPool())).toBeNull();
});

test('nothing is said if the volume now has other files, if a call may wait, or if the file is closed', async () => {
  write(file, 8 * KIB);
  const here = await storage();
  expect(occupiedBytes(here, ofPool({ path: `${file}2` }))).toBeNull();
  const part = { poolId: '', pool: 'fast', path: file, sizeBytes: 128 * KIB, stamp: null, trouble: null };
  expect(occupiedBytes(here, ofPool({ layout: { chunkBytes: null, parts: [part, part] } }))).toBeNull();
  expect(occupiedBytes({ ...here, isLocal: false }, ofPool())).toBeNull();
  const { isLocal: _, ...unknown } = here;
  expect(occupiedBytes(unknown, ofPool())).toBeNull();
  expect(occupiedBytes({ ...here, handle: null }, ofPool())).toBeNull();
  await closers.pop()?.();
  expect(occupiedBytes(here, ofPool())).toBeNull();
});

test('a volume of several files occupies what its files occupy, and nothing is said if one of them may wait', async () => {
  const files = [file, `${file}2`];
  const [first, second] = await Promise.all(
    files.map(async (one, index) => {
      write(one, (index + 1) * 16 * KIB);
      const handle = await open(one, 'r+');
      closers.push(() => handle.close());
      return { path: one, handle, identity: null, isLocal: true };
    }),
  );
  const whole = ofPool({
    layout: {
      chunkBytes: null,
      parts: files.map((one) => ({ poolId: '', pool: 'fast', path: one, sizeBytes: 128 * KIB, stamp: null, trouble: null })),
    },
  });
  const both = await storage({ parts: [first!, second!] });
  expect(occupiedBytes(both, whole)).toBe(48 * KIB);
  expect(occupiedBytes({ ...both, parts: [first!, { ...second!, isLocal: false }] }, whole)).toBeNull();
});

test('a list asks the open volume with this name, id and file, and no other', async (context) => {
  needPrograms(context, 'flock');
  const volumes = new Volumes({
    idsFile: path.join(directory, 'volumes.json'),
    memoryDirectory: directory,
    fileSystemOf: () => Promise.resolve('other'),
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    syncFailedLate: () => undefined,
    isHeld: () => false,
    holdersOf: () => [],
    incarnationEnded: async () => undefined,
  });
  closers.push(() => volumes.close());
  write(file, 256 * KIB);
  await volumes.open({ volumes: [ofPool()] });
  expect(volumes.failures).toEqual([]);
  context.skip(volumes.occupiedBytes(ofPool()) === null, `${directory} is on a file system that may wait`);
  expect(volumes.occupiedBytes(ofPool())).toBe(256 * KIB);
  expect(volumes.occupiedBytes(ofPool({ id: OTHER_ID }))).toBeNull();
  expect(volumes.occupiedBytes(ofPool({ name: 'scratch' }))).toBeNull();
  expect(volumes.occupiedBytes(ofPool({ path: `${file}2` }))).toBeNull();
  const { pool: _, ...section } = ofPool();
  expect(volumes.occupiedBytes(section)).toBeNull();
  const renamed = ofPool({ name: 'scratch' });
  const change = await volumes.prepare({ added: [], retried: [], kept: [renamed], removed: [ofPool()], isPartial: true }, [renamed]);
  change.commit();
  await change.finish();
  expect(volumes.occupiedBytes(ofPool())).toBeNull();
});
