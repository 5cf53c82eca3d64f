// Tests where the client stores answers. The data of a READ is received into the buffer of the READ, so that the client can always continue
// to read and allocates no memory. If a server announces more data than was requested, the client closes the path and allocates nothing.

import { describe, expect, test } from 'vitest';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { HEADER_BYTES, IO_MAX_SECTORS } from '../wire/limits.ts';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import type { HeardFrame } from '../testing/scripted-server.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import type { Request } from './requests/request.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import { writeIoHeader } from '../wire/header.ts';
import { STATUS } from '../wire/status.ts';

const READS = 32;
/** Delivers data in pieces, like TCP, never a whole segment at once. */
const PIECES = { ...IDEAL_LINK, cut: (lengthBytes: number) => Math.min(lengthBytes, 65_536) };

/** Returns a scene, and the list `taken` of the sizes in bytes that were requested from the scene's buffer pool. */
function sceneWithNotes(paths = 1): { scene: TrunkScene; taken: number[] } {
  const scene = new TrunkScene(paths, PIECES).start();
  const taken: number[] = [];
  const { bodies } = scene.pools;
  const take = bodies.take.bind(bodies);
  bodies.take = (lengthBytes) => {
    taken.push(lengthBytes);
    return take(lengthBytes);
  };
  return { scene, taken };
}

test('any number of large answers is received using only the memory of the requests', () => {
  const { scene, taken } = sceneWithNotes();
  const count = SEGMENT_BYTES / SECTOR_BYTES;
  const requests = Array.from({ length: READS }, () =>
    scene.submit(OP.READ, { count, bodyBytes: SEGMENT_BYTES, buffer: Buffer.alloc(SEGMENT_BYTES) }),
  );
  scene.clock.advance(1);
  const [path] = scene.server.paths;
  for (const asked of path!.requests(OP.READ)) path!.answerIo(asked, STATUS.OK, Buffer.alloc(SEGMENT_BYTES, asked.header.slot + 1));
  scene.clock.advance(1);
  expect(requests.map((request) => scene.statusOf(request))).toEqual(requests.map(() => STATUS.OK));
  expect(requests.every(({ buffer }) => buffer[0] !== 0 && buffer.every((byte) => byte === buffer[0]))).toBe(true);
  expect(taken).toEqual([]);
});

test('an answer larger than requested closes the path before memory is allocated', () => {
  const { scene, taken } = sceneWithNotes();
  const buffer = Buffer.alloc(SECTOR_BYTES, 0xaa);
  scene.submit(OP.READ, { count: 1, bodyBytes: SECTOR_BYTES, buffer });
  scene.clock.advance(1);
  const [path] = scene.server.paths;
  const [asked] = path!.requests(OP.READ);
  path!.answerIo({ ...asked!, header: { ...asked!.header, count: IO_MAX_SECTORS } }, STATUS.OK, Buffer.alloc(BODY_MAX_BYTES));
  scene.clock.advance(1);
  expect(scene.supervisors[0]!.lastError?.message).toContain('Protocol error of the server: READ answer of 2048 sectors');
  expect([taken, buffer]).toEqual([[], Buffer.alloc(SECTOR_BYTES, 0xaa)]);
});

test('a late answer is received elsewhere: one body per path, given back afterwards', () => {
  const { scene, taken } = sceneWithNotes(2);
  const request = scene.submit(OP.READ, { count: IO_MAX_SECTORS, bodyBytes: BODY_MAX_BYTES, buffer: Buffer.alloc(BODY_MAX_BYTES) });
  scene.submit(OP.FLUSH);
  scene.clock.advance(250);
  const [silent, other] = scene.server.paths;
  other!.answerIo(other!.requests(OP.FLUSH)[0]!, STATUS.OK);
  scene.clock.advance(100);
  expect(scene.states).toEqual(['suspect', 'up']);
  other!.answerIo(other!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(BODY_MAX_BYTES, 3));
  scene.clock.advance(1);
  expect([scene.statusOf(request), request.buffer[0], taken]).toEqual([STATUS.OK, 3, []]);
  silent!.answerIo(silent!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(BODY_MAX_BYTES, 4));
  scene.clock.advance(1);
  expect([request.buffer[0], request.buffer.at(-1), taken]).toEqual([3, 3, [BODY_MAX_BYTES]]);
  expect([scene.pools.bodies.lent.size, scene.states]).toEqual([0, ['up', 'up']]);
});

describe('a READ whose owner takes the data where it was received', () => {
  const BYTES = 4096;
  const asked = { count: BYTES / SECTOR_BYTES, bodyBytes: BYTES, takesReceived: true };

  /** Returns an owner of READs that records which buffer had the data of each READ, and then overwrites its own memory. */
  function owner(): { found: { where: string; data: Buffer }[]; requestDone: (request: Request) => void } {
    const found: { where: string; data: Buffer }[] = [];
    const requestDone = ({ buffer, bufferOffset, received, receivedOffset }: Request): void => {
      const [bytes, at] = received === null ? [buffer, bufferOffset] : [received, receivedOffset];
      found.push({ where: received === null ? 'buffer' : 'received', data: Buffer.from(bytes.subarray(at, at + BYTES)) });
      received?.fill(0xee, at - HEADER_BYTES, at + BYTES);
    };
    return { found, requestDone };
  }

  /** Returns the bytes of the answer frame, without digests. */
  function answerTo({ header }: HeardFrame, byte: number): Buffer {
    const frame = Buffer.alloc(HEADER_BYTES + BYTES, byte);
    writeIoHeader(frame, 0, header.op | ANSWER, 0, STATUS.OK, header.slot, header.seq, header.lba, header.count);
    return frame;
  }

  function sceneWithout(digest: boolean, paths: number, cut: (lengthBytes: number) => number): TrunkScene {
    const scene = new TrunkScene(paths, { ...IDEAL_LINK, cut });
    scene.server.digest = digest;
    return scene.start();
  }

  test.each([true, false])('finds it there if it is whole, and leaves the other answers as they are (digests: %s)', (digest) => {
    const scene = sceneWithout(digest, 1, (lengthBytes) => lengthBytes);
    const events = owner();
    const fields = { ...asked, events };
    const requests = [1, 2, 3].map(() => scene.submit(OP.READ, { ...fields, buffer: Buffer.alloc(BYTES, 0xaa) }));
    const copied = scene.submit(OP.READ, { ...asked, takesReceived: false, buffer: Buffer.alloc(BYTES, 0xaa) });
    scene.clock.advance(1);
    const [path] = scene.server.paths;
    const { encoder } = path!.connection;
    for (const [index, { header }] of path!.requests(OP.READ).entries()) {
      const at = encoder.beginIo(BYTES);
      encoder.buffer.fill(index + 1, at, at + BYTES);
      encoder.endIo(OP.READ | ANSWER, 0, STATUS.OK, header.slot, header.seq, header.lba, header.count, BYTES);
    }
    encoder.flush();
    scene.clock.advance(1);
    expect(events.found).toEqual([1, 2, 3].map((byte) => ({ where: 'received', data: Buffer.alloc(BYTES, byte) })));
    expect([requests.every(({ received, buffer }) => received === null && buffer[0] === 0xaa), copied.received]).toEqual([true, null]);
    expect(copied.buffer).toEqual(Buffer.alloc(BYTES, 4));
  });

  test('finds it in its own buffer if it has come in parts', () => {
    const scene = sceneWithout(true, 1, (lengthBytes) => Math.min(lengthBytes, 1000));
    const events = owner();
    scene.submit(OP.READ, { ...asked, events, buffer: Buffer.alloc(BYTES, 0xaa) });
    scene.clock.advance(1);
    const [path] = scene.server.paths;
    path!.answerIo(path!.requests(OP.READ)[0]!, STATUS.OK, Buffer.alloc(BYTES, 5));
    scene.clock.advance(1);
    expect(events.found).toEqual([{ where: 'buffer', data: Buffer.alloc(BYTES, 5) }]);
  });

  test('finds it in its own buffer if it was received where there is no room for a header', () => {
    const scene = sceneWithout(false, 2, (lengthBytes) => Math.min(lengthBytes, 3000));
    const events = owner();
    scene.submit(OP.READ, { ...asked, events, buffer: Buffer.alloc(BYTES, 0xaa) });
    scene.submit(OP.FLUSH);
    scene.clock.advance(250);
    const [silent, other] = scene.server.paths;
    other!.answerIo(other!.requests(OP.FLUSH)[0]!, STATUS.OK);
    scene.clock.advance(100);
    // The first path has begun to receive into the buffer of the request, and the second path must therefore receive into other memory.
    silent!.raw(answerTo(silent!.requests(OP.READ)[0]!, 6).subarray(0, 2000));
    scene.clock.advance(1);
    other!.raw(answerTo(other!.requests(OP.READ)[0]!, 7));
    scene.clock.advance(1);
    expect(events.found).toEqual([{ where: 'buffer', data: Buffer.alloc(BYTES, 7) }]);
    silent!.raw(answerTo(silent!.requests(OP.READ)[0]!, 6).subarray(2000));
    scene.clock.advance(1);
    expect([events.found.length, scene.pools.bodies.lent.size]).toEqual([1, 0]);
  });
});
