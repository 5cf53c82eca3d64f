// Tests the opening of a pool after its server has died. The scan syncs the folders before it reads them, because the server serves the
// volumes in these folders afterwards. test/sim simulates a crash of the machine. Rules: C1.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { syncDirectory } from '@rsio/base/files/durable-write';
import { systemClock } from '@rsio/base/lib/clock';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PoolScene } from '../../testing/pool-scene.ts';
import { LOCAL_ASKER } from '../asker.ts';
import { scanPool } from './pool-scan.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const synced = vi.hoisted((): string[] => []);

vi.mock('@rsio/base/files/durable-write', async (original) => {
  const actual: { syncDirectory: typeof syncDirectory } = await original();
  return {
    ...actual,
    syncDirectory: async (directory: string) => {
      synced.push(directory);
      await actual.syncDirectory(directory);
    },
  };
});

let directory = '';

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-scan-'));
});

afterEach(() => removeFolder(directory));

test('syncs the folders of a pool and of its volumes before it tells what is there, and only with the lock', async () => {
  const scene = await PoolScene.open(directory, { clock: systemClock });
  const kept = await scene.create();
  const removed = await scene.create({ name: 'gone' });
  await scene.verbs.remove({ name: 'gone', universe: 0 }, LOCAL_ASKER, null);
  await scene.pools.close();
  const pool = path.join(directory, 'fast');
  const identity = { id: '00000000-0000-4000-8000-00000000000a' as const, createdMs: 0 };
  synced.length = 0;
  await scanPool(pool, identity, false);
  expect(synced).toEqual([]);
  await scanPool(pool, identity, true);
  expect(synced.map((one) => path.relative(pool, one))).toEqual([
    'volumes',
    'removed',
    `volumes/${kept.manifest.id}`,
    `removed/${removed.manifest.id}`,
  ]);
});
