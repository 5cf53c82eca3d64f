// Tests that another volume continues when the I/O of one volume is abandoned. After REVOKE of the handle (docs/PROTOCOL.md S11), the
// session continues. Until REVOKED arrives, the client sends no requests of the volume whose I/O was abandoned, and neither reopens nor
// closes that volume. abandon.test.ts covers leaving the session. Rules: G7.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { WINDOW_BYTES } from '../link/limits.ts';
import { SLOTS } from '../wire/limits.ts';
import { OPEN_ANSWER, TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { Revoke, TAKE } from '../wire/messages.ts';
import { STATUS } from '../wire/status.ts';
import { Attachment } from './attachment.ts';
import type { Request } from './requests/request.ts';

const KIB = 1024;

class BesideScene extends TrunkScene {
  readonly other = new Attachment('archive', 0, false, TAKE.NO, null);

  constructor(paths: number, revokes = true, shape?: ConstructorParameters<typeof TrunkScene>[1]) {
    super(paths, shape);
    this.server.revokes = revokes;
    this.server.answersPings = true;
    this.start();
    this.trunk.addAttachment(this.other);
    this.other.opened({ ...OPEN_ANSWER, handle: 4 });
  }

  write(attachment: Attachment, lba: number, bodyBytes = SECTOR_BYTES): Request {
    const request = this.submit(OP.WRITE, { lba, count: bodyBytes / SECTOR_BYTES, bodyBytes, buffer: Buffer.alloc(bodyBytes), attachment });
    return request;
  }

  /** The REVOKEs that the server has received, each with its path and handle. */
  get revokes(): { path: number; handle: number; tags: number[] }[] {
    return this.server.paths.flatMap((path, number) =>
      path
        .requests(OP.REVOKE)
        .map(({ header, body }) => ({ path: number, handle: header.aux, tags: [...Revoke.decode(body, 0, body.length).tags] })),
    );
  }

  heardWrites(handle: number): number[] {
    return this.server.paths
      .flatMap((path) => path.requests(OP.WRITE))
      .flatMap(({ header }) => (header.handle === handle ? [header.lba] : []));
  }

  /** Answers the WRITE of this sector on the path that received it. */
  answer(lba: number, handle: number): void {
    for (const path of this.server.paths) {
      for (const frame of path.requests(OP.WRITE)) {
        if (frame.header.lba === lba && frame.header.handle === handle) path.answerIo(frame, STATUS.OK);
      }
    }
    this.clock.advance(1);
  }
}

test('the other volume’s I/O continues in the same session', () => {
  const scene = new BesideScene(2);
  const hung = scene.write(scene.attachment, 1);
  const beside = scene.write(scene.other, 2);
  scene.clock.advance(1);
  expect(scene.trunk.abandon(scene.attachment)).toEqual([hung]);
  scene.answer(2, 4);
  const later = scene.write(scene.other, 3);
  scene.clock.advance(1);
  scene.answer(3, 4);
  expect([scene.statusOf(beside), scene.statusOf(later), scene.sessions]).toEqual([STATUS.OK, STATUS.OK, [false]]);
  expect(scene.revokes.map(({ handle }) => handle)).toEqual([3]);
});

test('the rest of a READ answer being received does not touch the buffer, which its owner has back, and the path stays up', () => {
  const shape = { takeMs: () => 0, travelMs: () => 0, cut: (lengthBytes: number) => Math.min(lengthBytes, 1000), restMs: () => 5 };
  const scene = new BesideScene(1, true, shape);
  const lengthBytes = 8 * SECTOR_BYTES;
  const hung = scene.submit(OP.READ, { lba: 0, count: 8, bodyBytes: lengthBytes, buffer: Buffer.alloc(lengthBytes) });
  scene.clock.advance(100);
  const [path] = scene.server.paths;
  path!.answerIo(path!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(lengthBytes, 1));
  scene.clock.advance(6);
  expect(hung.buffer[0]).toBe(1);
  expect(scene.trunk.abandon(scene.attachment)).toEqual([hung]);
  // Overwrite the buffer, because its owner may reuse the buffer after the request was abandoned.
  hung.buffer.fill(0xee);
  scene.clock.advance(100);
  expect(hung.buffer).toEqual(Buffer.alloc(lengthBytes, 0xee));
  expect([scene.states, scene.sessions]).toEqual([['up'], [false]]);
});

test('without REVOKE on the server, the client leaves the session', () => {
  const scene = new BesideScene(1, false);
  scene.write(scene.attachment, 1);
  scene.clock.advance(1);
  scene.trunk.abandon(scene.attachment);
  scene.clock.advance(20_000);
  expect([scene.sessions, scene.revokes]).toEqual([[false, true], []]);
});

test('new I/O of the volume waits for REVOKED, and then for another handle', () => {
  const scene = new BesideScene(1);
  let asked = 0;
  scene.attachment.whenRevoked = () => asked++;
  scene.write(scene.attachment, 1);
  scene.clock.advance(1);
  scene.trunk.abandon(scene.attachment);
  const later = scene.write(scene.attachment, 1);
  scene.clock.advance(60_000);
  expect([scene.attachment.phase, scene.attachment.standing, asked, scene.heardWrites(3)]).toEqual(['revoked', 'recovering', 0, [1]]);
  scene.server.paths[0]!.say(OP.REVOKED, 3);
  scene.clock.advance(1);
  expect([scene.attachment.phase, asked]).toEqual(['opening', 1]);
  scene.attachment.opened({ ...OPEN_ANSWER, handle: 5 });
  scene.trunk.wantPump();
  scene.clock.advance(1);
  scene.answer(1, 5);
  expect([scene.statusOf(later), scene.heardWrites(5)]).toEqual([STATUS.OK, [1]]);
});

test('REVOKE is sent again with the same tags when its path dies', () => {
  const scene = new BesideScene(2);
  scene.write(scene.attachment, 1);
  scene.clock.advance(1);
  scene.trunk.abandon(scene.attachment);
  scene.clock.advance(1);
  const [{ path, tags }] = scene.revokes as [{ path: number; handle: number; tags: number[] }];
  expect(tags.length).toBe(2);
  scene.server.paths[path]!.connection.close('cut', true);
  scene.clock.advance(10);
  expect(scene.revokes.slice(1).map((one) => ({ handle: one.handle, tags: one.tags }))).toEqual([{ handle: 3, tags }]);
});

test('REVOKE is sent when a path returns after the last one was lost', () => {
  const scene = new BesideScene(1);
  scene.write(scene.attachment, 1);
  scene.clock.advance(1);
  scene.server.paths[0]!.connection.close('cut', true);
  scene.clock.advance(1);
  scene.trunk.abandon(scene.attachment);
  scene.clock.advance(5000);
  expect([scene.sessions, scene.revokes.map(({ handle }) => handle)]).toEqual([[false], [3]]);
});

test('a slot of an abandoned request is not reused before REVOKED, answered or not', () => {
  const scene = new BesideScene(1);
  scene.write(scene.attachment, 1);
  scene.clock.advance(1);
  const { slot } = scene.server.paths[0]!.requests(OP.WRITE)[0]!.header;
  scene.trunk.abandon(scene.attachment);
  scene.answer(1, 3);
  const used = (): boolean => scene.server.paths[0]!.requests(OP.WRITE).some(({ header }) => header.handle === 4 && header.slot === slot);
  const writeMany = (from: number): void => {
    for (let lba = from; lba < from + 2 * SLOTS; lba++) {
      scene.write(scene.other, lba);
      scene.clock.advance(0);
      scene.answer(lba, 4);
    }
  };
  writeMany(0);
  expect(used()).toBe(false);
  scene.server.paths[0]!.say(OP.REVOKED, 3);
  scene.clock.advance(1);
  writeMany(2 * SLOTS);
  expect(used()).toBe(true);
});

test('bytes that hang at the storage do not count as load of their paths forever', () => {
  const scene = new BesideScene(2);
  for (let index = 0; index < 40; index++) scene.write(scene.attachment, index * 1024, 512 * KIB);
  scene.clock.advance(100);
  let worstMs = 0;
  for (let index = 0; index < 3000; index++) {
    const lba = 8 * index;
    const startMs = scene.clock.monotonicMs();
    const beside = scene.write(scene.other, lba, 8 * SECTOR_BYTES);
    scene.clock.advance(1);
    while (scene.statusOf(beside) === null && scene.clock.monotonicMs() - startMs < 20_000) scene.answer(lba, 4);
    worstMs = Math.max(worstMs, scene.clock.monotonicMs() - startMs);
    for (const path of scene.server.paths) path.heard.splice(0);
    scene.done.splice(0);
  }
  expect(worstMs).toBeLessThan(4000);
});

test('an unrequested REVOKED closes the path', () => {
  const scene = new BesideScene(1);
  scene.server.paths[0]!.say(OP.REVOKED, 3);
  scene.clock.advance(1);
  expect(scene.server.paths[0]!.closedReason).not.toBeNull();
});

test('callers that wait for the end of abandoned requests are notified at REVOKED, or with a new session', () => {
  for (const ends of ['REVOKED', 'session']) {
    const scene = new BesideScene(1);
    let over = 0;
    scene.trunk.whenUnfenced(scene.attachment, () => over++);
    expect(over).toBe(1);
    scene.write(scene.attachment, 1);
    scene.clock.advance(1);
    scene.trunk.abandon(scene.attachment);
    scene.trunk.removeAttachment(scene.attachment);
    scene.trunk.whenUnfenced(scene.attachment, () => over++);
    scene.clock.advance(100);
    expect(over).toBe(1);
    if (ends === 'REVOKED') scene.server.paths[0]!.say(OP.REVOKED, 3);
    else scene.server.loseSession();
    scene.clock.advance(5000);
    expect([ends, over]).toEqual([ends, 2]);
  }
});

test.each([
  ['small requests', SECTOR_BYTES, SLOTS * 2],
  ['large requests', 512 * KIB, (2 * WINDOW_BYTES) / (512 * KIB)],
])('volumes that hang with %s leave slots and window for the next one', (_what, bodyBytes, count) => {
  const scene = new BesideScene(1);
  const third = new Attachment('third', 0, false, TAKE.NO, null);
  scene.trunk.addAttachment(third);
  third.opened({ ...OPEN_ANSWER, handle: 9 });
  // Writes to the volumes one after another, so that no other request competes with the first WRITE.
  for (const attachment of [scene.attachment, scene.other]) {
    for (let index = 0; index < count; index++) scene.write(attachment, index * (bodyBytes / SECTOR_BYTES), bodyBytes);
    scene.clock.advance(100);
  }
  scene.trunk.abandon(scene.attachment);
  scene.write(third, 5, bodyBytes);
  scene.clock.advance(100);
  expect(scene.heardWrites(9)).toEqual([5]);
});
