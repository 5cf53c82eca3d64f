// Tests a server that is killed after a job has begun and before the answer is recorded. When the client repeats its request (C4), the
// answer is the job that was begun, even if this job has ended. No second job begins.

import { removeFolder } from '@rsio/base/testing/remove-folder';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { stampOf } from '../../pools/requests/request-stamp.ts';
import { CopyScene, DB } from '../../testing/copy-scene.ts';
import { directory, openTwoPools, useTwoPools } from '../../testing/two-pools.ts';
import { WHOLE_CHANGES } from '../../testing/whole-turn.ts';

const SIZE_BYTES = 64 * 1024;

useTwoPools();

let folder: string;

beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'rsio-repeated-'))));
afterEach(() => removeFolder(folder));

async function opened(): Promise<CopyScene> {
  const copies = new CopyScene(await openTwoPools(directory, {}));
  await copies.jobs.load();
  return copies;
}

const ordersOf = (copies: CopyScene) => copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
const stamp = (method: string, params: object): string => stampOf({ node: null, id: 'r1', method, params });

const MOVE = { ...DB, from: null, pool: 'slow', limitBytes: null };
const COPY = { ...DB, snapshot: null, newName: 'new', newUniverse: 0, pool: null, limitBytes: null };

test.each([
  ['volume-move', (copies: CopyScene, request: string) => ordersOf(copies)['volume-move']({ ...MOVE, request })],
  ['volume-copy', (copies: CopyScene, request: string) => ordersOf(copies)['volume-copy']({ ...COPY, request })],
  [
    'volume-export',
    (copies: CopyScene, request: string) => {
      const target = path.join(folder, 'db.raw');
      return ordersOf(copies)['volume-export']({ ...DB, snapshot: null, target, format: null, force: false, limitBytes: null, request });
    },
  ],
] as const)('%s is answered with the job that it has begun', async (method, ask) => {
  const copies = await opened();
  await copies.scene.create({ pool: 'fast', sizeBytes: SIZE_BYTES });
  const request = stamp(method, { to: 'slow' });
  const { job } = await ask(copies, request);
  expect((await ask(copies, request)).job.id).toBe(job.id);
  await copies.run();
  await copies.scene.pools.close();
  const again = await opened();
  expect((await ask(again, request)).job.id).toBe(job.id);
  expect(again.jobs.list).toHaveLength(1);
  await expect(ask(again, stamp(method, { to: 'other' }))).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringContaining('used for another'),
  });
  expect(JSON.stringify(await ask(again, request))).not.toContain(request);
  await again.scene.pools.close();
});
