// Tests that volumes whose I/O is answered slowly, as with a limit, leave slots and window to a volume that begins later, however many they
// are; that a quota grows with answers; and that a single volume has no quota.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { expect, test } from 'vitest';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { TAKE } from '../wire/messages.ts';
import { OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import { QUOTA_ANSWERS, QUOTA_BEGIN_SLOTS, QUOTA_HELD_SLOTS } from './limits.ts';

const HOGS = 5;
const MANY = 300;
const MIB = 1024 * 1024;

class Volumes {
  readonly scene = new TrunkScene(1).start();
  private answered = 0;

  open(handle: number): Attachment {
    const attachment = new Attachment(`v${handle}`, 0, false, TAKE.NO, null);
    this.scene.trunk.addAttachment(attachment);
    attachment.opened({ ...OPEN_ANSWER, handle });
    return attachment;
  }

  /** Submits READs of one volume, and returns how many of its requests are at the server now. */
  read(attachment: Attachment, count: number, bytes = SECTOR_BYTES): number {
    const buffer = Buffer.alloc(bytes);
    for (let index = 0; index < count; index++)
      this.scene.submit(OP.READ, { attachment, lba: index, count: bytes / SECTOR_BYTES, buffer, bufferOffset: 0, bodyBytes: bytes });
    this.scene.clock.advance(1);
    return attachment.slotsHeld;
  }

  /** The server answers this many of the READs that it has heard, the oldest first. */
  answer(count: number): void {
    const path = this.scene.server.paths[0]!;
    for (let index = 0; index < count; index++) {
      const frame = path.heard.filter(({ header }) => header.op === OP.READ)[this.answered++]!;
      path.answerIo(frame, STATUS.OK, Buffer.alloc(frame.header.count * SECTOR_BYTES));
      this.scene.clock.advance(0);
    }
  }
}

test.each([
  ['small READs', SECTOR_BYTES],
  ['READs of 1 MiB', MIB],
])('however many volumes wait for slow answers to %s, a volume that begins has room', (_what, bytes) => {
  const volumes = new Volumes();
  const hogs = Array.from({ length: HOGS }, (_, index) => volumes.open(10 + index));
  const late = volumes.open(30);
  for (const hog of hogs) expect(volumes.read(hog, MANY, bytes)).toBeLessThanOrEqual(QUOTA_BEGIN_SLOTS);
  expect(volumes.read(late, MANY)).toBe(QUOTA_BEGIN_SLOTS);
});

test('a quota grows with each few answers, and is small while the server holds the I/O back', () => {
  const volumes = new Volumes();
  const volume = volumes.open(10);
  expect(volumes.read(volume, MANY)).toBe(QUOTA_BEGIN_SLOTS);
  volumes.answer(8 * QUOTA_ANSWERS);
  expect(volume.slotsHeld).toBe(QUOTA_BEGIN_SLOTS + 8);
  volume.heldBy = { text: 'its limit of 20 requests per second', sinceMs: 0 };
  volumes.answer(QUOTA_BEGIN_SLOTS);
  expect(volume.slotsHeld).toBe(QUOTA_HELD_SLOTS);
  volume.heldBy = null;
  volumes.answer(1);
  expect(volume.slotsHeld).toBe(QUOTA_BEGIN_SLOTS);
});

test('the only volume of a session has no quota', () => {
  const { scene } = new Volumes();
  for (let index = 0; index < MANY; index++) scene.submit(OP.READ, { lba: index, count: 1, buffer: Buffer.alloc(512), bodyBytes: 512 });
  scene.clock.advance(1);
  expect(scene.attachment.slotsHeld).toBeGreaterThan(2 * QUOTA_BEGIN_SLOTS);
});
