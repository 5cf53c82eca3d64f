// Memory for answers at the client: a READ is received into the buffer of its request, so that the client can always read on and allocates
// nothing for the server's output. A server that claims more loses the path, and costs the client no memory.

import { expect, test } from 'vitest';
import { BODY_MAX_BYTES, SECTOR_BYTES } from '@rsio/common/lib/limits';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { IO_MAX_SECTORS } from '../wire/limits.ts';
import { IDEAL_LINK } from '../testing/memory-transport.ts';
import { TrunkScene } from '../testing/trunk-scene.ts';
import { OP } from '../wire/frames.ts';
import { STATUS } from '../wire/status.ts';

const READS = 32;
/** In pieces as TCP delivers them, never a whole segment at once. */
const PIECES = { ...IDEAL_LINK, cut: (lengthBytes: number) => Math.min(lengthBytes, 65_536) };

/** A scene that records the sizes requested from its pool, in bytes. */
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
