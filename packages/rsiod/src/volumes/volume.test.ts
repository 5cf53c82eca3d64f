// Tests how a volume handles ranges that no frontend should send, and invalid answers of the server. The trunk is in memory, and the server
// is scripted. path-stall.test.ts tests the stall policy.

import { expect, test } from 'vitest';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import { OPEN_ANSWER, TrunkScene } from '@rsio/protocol/testing/trunk-scene';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { EXTENT, ExtentsAnswer } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Extent, VolumeIo } from './frontend-volume.ts';
import { Volume } from './volume.ts';

class Scene {
  readonly trunk: TrunkScene;
  readonly volume: Volume;
  readonly said: { status: number; extents: readonly Extent[] }[] = [];

  constructor(trunk = new TrunkScene(1)) {
    this.trunk = trunk.start();
    const target = new SingleTarget(trunk.attachment, trunk.trunk);
    this.volume = new Volume({ name: 'osl', namespaceid: 1 }, target, trunk.clock, 'forever', () => undefined, null);
  }

  ask(positionBytes: number, lengthBytes: number): void {
    this.volume.extents(positionBytes, lengthBytes, (status, extents) => this.said.push({ status, extents }));
  }

  /** Makes the server answer the EXTENTS request that it has received. */
  answer(body: Buffer): void {
    this.trunk.clock.advance(1);
    const [path] = this.trunk.server.paths;
    path!.answerMessage(path!.requests(OP.IOCTL)[0]!, STATUS.OK, body);
    this.trunk.clock.advance(1);
  }
}

test.each([
  ['not whole blocks', 0, 0xffffffff, STATUS.MISALIGNED],
  ['at no block', 100, 512, STATUS.MISALIGNED],
  ['of no length', 512, 0, STATUS.BAD_REQUEST],
  ['past the end', OPEN_ANSWER.sizeBytes, 512, STATUS.PAST_END],
  ['past every volume', 2 ** 53 - 2 ** 20, 2 ** 32, STATUS.PAST_END],
])('extents of a range %s: refused asynchronously, without a request to the server', (_what, positionBytes, lengthBytes, status) => {
  const scene = new Scene();
  scene.ask(positionBytes, lengthBytes);
  expect(scene.said).toEqual([]);
  scene.trunk.clock.advance(1);
  expect(scene.said).toEqual([{ status, extents: [] }]);
  expect(scene.trunk.server.paths[0]!.requests(OP.IOCTL)).toEqual([]);
  expect(scene.volume.outstanding).toBe(0);
});

test('a malformed EXTENTS answer fails its request and closes the path', () => {
  const scene = new Scene();
  scene.ask(0, 4096);
  scene.answer(Buffer.from('nonsense'));
  expect(scene.said).toEqual([{ status: STATUS.IO_ERROR, extents: [] }]);
  expect(scene.volume.outstanding).toBe(0);
  expect(scene.trunk.moves.at(-1)).toMatch(/^0: up > (?:down|connecting)/);
});

test('an EXTENTS answer for more than the request is cut', () => {
  const scene = new Scene();
  scene.ask(0, 4096);
  scene.answer(ExtentsAnswer.encode({ extents: [4, EXTENT.HOLE, 2 ** 40, EXTENT.DATA, 8, EXTENT.HOLE] }));
  expect(scene.said).toEqual([
    {
      status: STATUS.OK,
      extents: [
        { lengthBytes: 2048, isHole: true },
        { lengthBytes: 2048, isHole: false },
      ],
    },
  ]);
});

test('stall = fail makes no further check when the trunk has ended without a path', () => {
  const { trunk, clock, supervisors, attachment } = new TrunkScene(1).start();
  const volume = new Volume({ name: 'osl', namespaceid: 1 }, new SingleTarget(attachment, trunk), clock, 'fail', () => undefined, null);
  for (const { path } of supervisors) path?.connection.close('cut', true);
  clock.advance(1);
  expect(volume.stall.isReady).toBe(false);
  trunk.end(STATUS.SHUTTING_DOWN, 'The end');
  for (const supervisor of supervisors) supervisor.retire('The end');
  expect(clock.timersPending).toBe(0);
});

test.each([
  ['one segment where it was received', 4096, 'received'],
  ['several segments in its buffer', SEGMENT_BYTES * 2, 'buffer'],
])('a read that takes what was received finds the data of %s', (_what, lengthBytes, where) => {
  const { trunk, volume } = new Scene();
  const found: { where: string; data: Buffer }[] = [];
  const io: VolumeIo & { received: Buffer | null; receivedOffset: number } = {
    op: 'read',
    positionBytes: 0,
    lengthBytes,
    buffer: Buffer.alloc(lengthBytes),
    bufferOffset: 0,
    takesReceived: true,
    received: null,
    receivedOffset: 0,
    fua: false,
    mustKeepAllocated: false,
    done: () => {
      const [bytes, at] = io.received === null ? [io.buffer, 0] : [io.received, io.receivedOffset];
      found.push({ where: io.received === null ? 'buffer' : 'received', data: Buffer.from(bytes.subarray(at, at + lengthBytes)) });
    },
  };
  volume.submit(io);
  trunk.clock.advance(1);
  const [path] = trunk.server.paths;
  for (const asked of path!.requests(OP.READ)) {
    const data = Buffer.alloc(asked.header.count * 512, asked.header.lba / 512 + 1);
    path!.answerIo(asked, STATUS.OK, data);
  }
  trunk.clock.advance(1);
  const expected = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at += SEGMENT_BYTES)
    expected.fill(at / SEGMENT_BYTES + 1, at, Math.min(lengthBytes, at + SEGMENT_BYTES));
  // The data is compared with `equals`, because a deep comparison of megabytes is slow.
  expect(found.map((one) => ({ where: one.where, bytes: one.data.length, isEqual: one.data.equals(expected) }))).toEqual([
    { where, bytes: lengthBytes, isEqual: true },
  ]);
});

/** Writes the number of its sector into each sector. */
function stamped(lba: number, lengthBytes: number): Buffer {
  const data = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at += 512) data.writeUInt32BE(lba + at / 512, at);
  return data;
}

// Nothing but the place of a segment in the buffer says where its bytes belong.
test('without digests, the segments of one I/O are put together rightly, over any path, in any order and in parts', () => {
  const trunk = new TrunkScene(3, { ...IDEAL_LINK, cut: (bytes) => Math.min(bytes, 3000) });
  trunk.server.digest = false;
  const { volume } = new Scene(trunk);
  const lengthBytes = 5 * SEGMENT_BYTES + 4096;
  const content = stamped(8, lengthBytes);
  for (const op of ['write', 'read'] as const) {
    const buffer = op === 'read' ? Buffer.alloc(lengthBytes + 512, 0xaa) : Buffer.concat([Buffer.alloc(512, 0xaa), content]);
    const ended: number[] = [];
    const io: VolumeIo = {
      op,
      positionBytes: 8 * 512,
      lengthBytes,
      buffer,
      bufferOffset: 512,
      fua: false,
      mustKeepAllocated: false,
      done: (status) => ended.push(status),
    };
    volume.submit(io);
    const answered = new Set<object>();
    const paths = new Set<object>();
    let sectors = 0;
    for (let round = 0; round < 50 && ended.length === 0; round++) {
      trunk.clock.advance(1);
      const asked = trunk.server.paths.flatMap((path) =>
        path.requests(op === 'read' ? OP.READ : OP.WRITE).map((frame) => ({ path, frame })),
      );
      for (const { path, frame } of asked.toReversed()) {
        if (answered.has(frame)) continue;
        answered.add(frame);
        paths.add(path);
        const { lba, count } = frame.header;
        const data = content.subarray((lba - 8) * 512, (lba - 8 + count) * 512);
        if (op === 'write') expect(frame.body.equals(data), `segment at ${lba}`).toBe(true);
        path.answerIo(frame, STATUS.OK, op === 'read' ? data : undefined);
        sectors += count;
      }
    }
    expect([sectors * 512, paths.size, ended]).toEqual([lengthBytes, 3, [STATUS.OK]]);
    expect(buffer.subarray(512).equals(content), op).toBe(true);
    expect(buffer.subarray(0, 512)).toEqual(Buffer.alloc(512, 0xaa));
  }
});
