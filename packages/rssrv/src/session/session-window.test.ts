// Tests the byte window of a session whose storage never ends a write: how many bytes a client may have in unanswered requests, and what
// happens to a path on which a client sends more. test/sim runs correct clients.

import { BODY_MAX_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import { beforeEach, expect, test } from 'vitest';
import { type RawPath, SessionScene } from '../testing/raw-client.ts';

const LARGEST_IN_WINDOW = WINDOW_BYTES / BODY_MAX_BYTES;

let scene: SessionScene;
let path: RawPath;

beforeEach(async () => {
  scene = new SessionScene();
  scene.volumeChanges = { sizeBytes: VOLUME_MAX_BYTES };
  path = scene.path();
  await scene.open(path);
  for (let slot = 1; slot <= LARGEST_IN_WINDOW; slot++) await write(slot, IO_MAX_SECTORS);
  expect([scene.storage.waiting.length, path.closedReason]).toEqual([LARGEST_IN_WINDOW, null]);
});

function write(slot: number, count: number, seq = 1): Promise<void> {
  path.io(OP.WRITE, { slot, seq }, slot * IO_MAX_SECTORS, count);
  return scene.turn();
}

test('the window may be filled to the byte; one sector more closes the path and is not executed', async () => {
  await write(100, 1);
  expect(scene.storage.waiting).toHaveLength(LARGEST_IN_WINDOW);
  expect(path.closedReason).not.toBeNull();
  expect(scene.logged.at(-1)).toContain(`Protocol error of the client: More than the window of ${WINDOW_BYTES} bytes is unanswered`);
});

test('answered requests leave the window', async () => {
  scene.storage.finish();
  await write(1, IO_MAX_SECTORS, 2);
  expect(path.closedReason).toBeNull();
  expect(scene.storage.waiting).toHaveLength(LARGEST_IN_WINDOW);
});
