// Tests requests that are abandoned in flight. The trunk never sends an abandoned request again, and no late answer reaches its buffer. The
// trunk sends nothing for any volume before the server has started a new session (S9). Rules: E1, G7.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import type { Request } from './requests/request.ts';
import { TAKE } from '../wire/messages.ts';

const UP_AGAIN_MS = 20_000;

function write(scene: TrunkScene, lba: number, fill: number, attachment = scene.attachment): Request {
  const buffer = Buffer.alloc(SECTOR_BYTES, fill);
  return scene.submit(OP.WRITE, { lba, count: 1, bodyBytes: SECTOR_BYTES, buffer, attachment });
}

/** Breaks every connection of the scene. The requests in flight stay unanswered. */
function cutAll(scene: TrunkScene): void {
  for (const { path } of scene.supervisors) path?.connection.close('cut', true);
}

function allHeard(scene: TrunkScene, op: number): { lba: number; first: number }[] {
  return scene.server.paths.flatMap((path) => path.requests(op)).map(({ header, body }) => ({ lba: header.lba, first: body[0] ?? -1 }));
}

test('a WRITE in flight is not sent again, its session is left, and new I/O waits for the next session', () => {
  const scene = new TrunkScene(2).start();
  const lost = write(scene, 7, 1);
  scene.clock.advance(1);
  cutAll(scene);
  expect(scene.trunk.abandon(scene.attachment)).toEqual([lost]);
  // The owner reuses the buffer, so the trunk must no longer read it.
  lost.buffer.fill(0xee);
  const later = write(scene, 7, 2);
  scene.clock.advance(UP_AGAIN_MS);
  expect(scene.sessions).toEqual([false, true]);
  expect(scene.attachment.standing).toBe('halted');
  expect(allHeard(scene, OP.WRITE)).toEqual([{ lba: 7, first: 1 }]);
  scene.attachment.opened(OPEN_ANSWER);
  scene.trunk.wantPump();
  scene.clock.advance(1);
  expect(allHeard(scene, OP.WRITE)).toEqual([
    { lba: 7, first: 1 },
    { lba: 7, first: 2 },
  ]);
  expect(scene.statusOf(lost)).toBeNull();
  const path = scene.server.paths.findLast((one) => one.requests(OP.WRITE).length > 0);
  path!.answerIo(path!.requests(OP.WRITE)[0]!, STATUS.OK);
  scene.clock.advance(1);
  expect(scene.statusOf(later)).toBe(STATUS.OK);
});

test('the new session recovers the requests of another attachment', () => {
  const scene = new TrunkScene(1).start();
  const other = new Attachment('archive', 0, false, TAKE.NO, null);
  scene.trunk.addAttachment(other);
  other.opened({ ...OPEN_ANSWER, handle: 4 });
  write(scene, 1, 1);
  write(scene, 2, 2, other);
  scene.clock.advance(1);
  cutAll(scene);
  scene.trunk.abandon(scene.attachment);
  scene.clock.advance(UP_AGAIN_MS);
  other.opened({ ...OPEN_ANSWER, handle: 9 });
  scene.attachment.opened(OPEN_ANSWER);
  scene.trunk.wantPump();
  scene.clock.advance(1);
  expect(allHeard(scene, OP.WRITE).slice(2)).toEqual([{ lba: 2, first: 2 }]);
});

test('waiting requests are abandoned without leaving the session', () => {
  const scene = new TrunkScene(1).start();
  const lock = write(scene, 5, 1);
  scene.clock.advance(1);
  scene.server.paths[0]!.answerIo(scene.server.paths[0]!.requests(OP.WRITE)[0]!, STATUS.OK);
  scene.clock.advance(1);
  expect(scene.statusOf(lock)).toBe(STATUS.OK);
  cutAll(scene);
  const [first, behind] = [write(scene, 5, 2), write(scene, 5, 3)];
  scene.clock.advance(1);
  expect(new Set(scene.trunk.abandon(scene.attachment))).toEqual(new Set([first, behind]));
  const later = write(scene, 5, 4);
  scene.clock.advance(UP_AGAIN_MS);
  expect(scene.sessions).toEqual([false]);
  expect(allHeard(scene, OP.WRITE).map(({ first: fill }) => fill)).toContain(4);
  expect(allHeard(scene, OP.WRITE).map(({ first: fill }) => fill)).not.toContain(3);
  expect(scene.statusOf(later)).toBeNull();
});

test('a READ whose answer is being received is abandoned: the rest of the answer is discarded', () => {
  let isSlow = false;
  const shape = { ...IDEAL_LINK, cut: (lengthBytes: number) => (isSlow ? Math.min(lengthBytes, 700) : lengthBytes), restMs: () => 10 };
  const scene = new TrunkScene(1, shape);
  // The server supports REVOKE, so the path stays up when the handle is revoked.
  scene.server.revokes = true;
  scene.start();
  const buffer = Buffer.alloc(4 * SECTOR_BYTES, 0xaa);
  scene.submit(OP.READ, { count: 4, bodyBytes: buffer.length, buffer });
  scene.clock.advance(1);
  const [path] = scene.server.paths;
  isSlow = true;
  path!.answerIo(path!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(buffer.length, 1));
  scene.clock.advance(1);
  expect(buffer[0]).toBe(1);
  scene.trunk.abandon(scene.attachment);
  buffer.fill(0xbb);
  scene.clock.advance(100);
  expect(buffer).toEqual(Buffer.alloc(buffer.length, 0xbb));
});
