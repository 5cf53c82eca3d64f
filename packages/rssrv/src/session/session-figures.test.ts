// Tests what a session reports for the statistics: counts and latencies of requests to fast and to slow storage, the number and age of
// running requests, and the paths. All copies of a request count as one request.

import { beforeEach, expect, test } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

let scene: SessionScene;
let path: RawPath;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
});

test('requests that the storage answers at once', async () => {
  scene.storage.isFast = true;
  path.io(OP.WRITE, { slot: 0, seq: 1 }, 0, 8);
  path.io(OP.READ, { slot: 1, seq: 1 }, 0, 4);
  await scene.turn();
  const [volume] = scene.session.figures(false).volumes;
  expect(volume).toMatchObject({ volumeId: 'id', writes: 1, writtenBytes: 4_096, reads: 1, readBytes: 2_048, errors: 0, outstanding: 0 });
  expect(scene.session.figures(false).volumes, 'nothing has changed since').toEqual([]);
  expect(scene.session.figures(true).volumes).toHaveLength(1);
});

test('requests that take time: outstanding, the age of the oldest, latencies, and failures', async () => {
  path.io(OP.WRITE, { slot: 0, seq: 1 });
  await scene.turn();
  scene.clock.advance(7);
  path.io(OP.FLUSH, { slot: 1, seq: 1 });
  await scene.turn();
  scene.clock.advance(3);
  // The two advances take 10 ms, and each of the two turns takes 3 ms.
  expect(scene.session.figures(false).volumes).toMatchObject([{ outstanding: 2, oldestMs: 16, writes: 0, flushes: 0 }]);
  scene.storage.finish(STATUS.IO_ERROR);
  scene.storage.finish();
  await scene.turn();
  const [volume] = scene.session.figures(false).volumes;
  expect(volume).toMatchObject({ writes: 1, flushes: 1, errors: 1, outstanding: 0, oldestMs: 0 });
  expect(volume?.writeLatency.maxUs).toBeGreaterThanOrEqual(10_000);
  expect(volume?.flushLatency.maxUs).toBeGreaterThanOrEqual(3_000);
  expect(volume?.flushLatency.maxUs).toBeLessThan(10_000);
});

test('a copy of a request over another path counts once', async () => {
  const other = scene.path();
  path.io(OP.READ, { slot: 0, seq: 1 });
  other.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  other.io(OP.READ, { slot: 0, seq: 1 });
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect(scene.session.figures(true).volumes).toMatchObject([{ reads: 1 }]);
  expect(scene.session.figures(true).paths.map(({ requests }) => requests)).toEqual([2, 2]);
});
