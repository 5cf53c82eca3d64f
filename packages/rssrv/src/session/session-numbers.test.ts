// Tests a session whose handle numbers run out: before the last number is used, the server ends the session cleanly, at a moment when the
// storage answers quickly. The client's next session can open volumes again. packages/protocol/src/client/session-renewal.test.ts tests the
// client's side. Rules: R7.

import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { OpenRequest } from '@rsio/protocol/wire/messages';
import { expect, test, vi } from 'vitest';
import { HandleNumbers } from './handle-numbers.ts';
import { SessionScene } from '../testing/raw-client.ts';

const FEW = 20;
const LOW = FEW - 1;

test('each number is given once, and of 65,535 some thousands are left when they count as low', () => {
  const numbers = new HandleNumbers();
  let low = 0;
  let handle = 0;
  while (numbers.hasMoreThan(0)) {
    if (!numbers.areLow) low = handle;
    if (numbers.take() !== ++handle) break;
  }
  expect([handle, 65_535 - low > 3000]).toEqual([65_535, true]);
});

test('a session with few numbers left ends, but not while a request waits for slow storage', async () => {
  vi.spyOn(HandleNumbers.prototype, 'last', 'get').mockReturnValue(FEW);
  const scene = new SessionScene();
  const path = scene.path();
  const body = OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false });
  for (let seq = 1; seq < LOW; seq++) {
    path.message(OP.OPEN, { slot: 255, seq }, body);
    await scene.turn();
  }
  scene.clock.advance(HEARTBEAT_INTERVAL_MS);
  expect(scene.ends).toEqual([]);
  path.io(OP.READ, { slot: 7, seq: 1 });
  path.message(OP.OPEN, { slot: 255, seq: LOW }, body);
  await scene.turn();
  scene.clock.advance(3 * HEARTBEAT_INTERVAL_MS);
  expect(scene.ends).toHaveLength(0);
  scene.storage.finish();
  await scene.turn();
  scene.clock.advance(HEARTBEAT_INTERVAL_MS);
  expect(scene.ends[0]).toMatch(/handle numbers of the session are nearly used up/);
});
