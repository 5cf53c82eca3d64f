// Tests storage that is found truncated while it is served: the listener is notified once for each handle, then requests get STALE instead
// of errors or data, and the handle is revoked. files/file-backend.test.ts tests how truncated storage is detected. volume-change.test.ts
// tests how the volume is served again. Rules: N5 in docs/GUARANTEES.md.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const { STALE, VOLUME_UNAVAILABLE } = STATUS;
let scene: SessionScene;
let path: RawPath;

beforeEach(async () => {
  scene = new SessionScene();
  path = scene.path();
  await scene.open(path);
});

async function finish(status = 0): Promise<void> {
  scene.storage.finish(status);
  await scene.turn();
}

test.each([
  ['READ', OP.READ],
  ['WRITE', OP.WRITE],
  ['FLUSH', OP.FLUSH],
  ['ZERO', OP.ZERO],
])('a %s that finds the storage cut is answered STALE, and so is what comes after it', async (name, op) => {
  path.io(op, { slot: 0, seq: 1 });
  await scene.turn();
  await finish(VOLUME_UNAVAILABLE);
  expect([scene.cut, scene.lost, path.heard]).toEqual([['id'], [], [`${name} answer 0/1 status ${STALE}`]]);
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  expect(path.heard[1]).toBe(`READ answer 1/1 status ${STALE}`);
  await finish(VOLUME_UNAVAILABLE);
  expect([scene.storage.isClosed, scene.cut, scene.lost, scene.released]).toEqual([true, ['id'], [], []]);
});

test('the end of the storage is checked every heartbeat interval while it is in use', async () => {
  let looks: ((errno: string | null) => void)[] = [];
  const end = { isCut: false, needsCheck: false, grow: () => undefined, check: (done: (errno: string | null) => void) => looks.push(done) };
  Object.assign(scene.storage.backend, { end });
  scene.clock.advance(HEARTBEAT_INTERVAL_MS);
  expect(looks).toEqual([]);
  end.needsCheck = true;
  scene.clock.advance(3 * HEARTBEAT_INTERVAL_MS);
  expect(looks, 'one at a time').toHaveLength(1);
  looks[0]?.(null);
  looks = [];
  scene.clock.advance(HEARTBEAT_INTERVAL_MS);
  end.isCut = true;
  looks[0]?.('SHORT_READ');
  await scene.turn();
  expect(scene.cut).toEqual(['id']);
  path.io(OP.READ, { slot: 1, seq: 1 });
  await scene.turn();
  expect(path.heard).toEqual([`READ answer 1/1 status ${STALE}`]);
});
