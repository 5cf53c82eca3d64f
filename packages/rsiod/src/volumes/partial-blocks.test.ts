// Tests requests for arbitrary byte ranges together with changes of whole blocks, on a trunk in memory that answers in any order. The test
// checks that each byte that a request writes has that request's value at the end, and that every other byte is unchanged.

import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { BYTE_RANGES_OUT_MAX } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { OPEN_ANSWER } from '@rsio/protocol/testing/trunk-scene';
import { Attachment } from '@rsio/protocol/client/attachment';
import type { Request } from '@rsio/protocol/client/requests/request';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import type { Trunk } from '@rsio/protocol/client/trunk';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { type OpenAnswer, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VolumeIo, VolumeOp } from './frontend-volume.ts';
import { Volume } from './volume.ts';

const BLOCK = 4096;
const BLOCKS = 8;

/**
 * A server that executes requests when the test says so. As on a slow disk, the server may answer a READ long after it has read the data.
 */
class Scene {
  readonly clock = new FakeClock();
  readonly content = Buffer.alloc(BLOCK * BLOCKS, 1);
  readonly out: Request[] = [];
  readonly done: { io: VolumeIo; status: Status }[] = [];
  readonly volume: Volume;

  constructor(kind: Partial<OpenAnswer> = {}) {
    const attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
    attachment.opened({ ...OPEN_ANSWER, blockSizeBytes: BLOCK, sizeBytes: BLOCK * BLOCKS, ...kind });
    const trunk = { paths: [], submit: (request: Request) => void this.out.push(request), abandon: () => this.out.splice(0) };
    this.volume = new Volume(
      { name: 'osl', namespaceid: 1 },
      new SingleTarget(attachment, trunk as unknown as Trunk),
      this.clock,
      'forever',
      () => undefined,
      null,
    );
  }

  submit(
    op: VolumeOp,
    positionBytes: number,
    lengthBytes: number,
    fill = 0,
    anyRange = true,
    fua = false,
    mustKeepAllocated = false,
  ): VolumeIo {
    const buffer = Buffer.alloc(lengthBytes + 32, fill);
    const done = (status: Status): void => void this.done.push({ io, status });
    const io: VolumeIo = { op, positionBytes, lengthBytes, buffer, bufferOffset: 16, fua, mustKeepAllocated, anyRange, done };
    this.volume.submit(io);
    return io;
  }

  /**
   * Makes the server execute the request in flight at `index`. If that request is a change, older overlapping changes are executed first,
   * as rule O1 demands.
   */
  answer(index: number, status: Status = STATUS.OK): void {
    const one = this.out[index % this.out.length];
    if (one === undefined) return;
    const request = this.firstBefore(one);
    this.out.splice(this.out.indexOf(request), 1);
    if (status === STATUS.OK) this.execute(request);
    request.events?.requestDone(request, status);
    this.clock.advance(0);
  }

  /**
   * Returns the oldest change that must be executed before `one`. An older change that overlaps `one` may itself overlap a still older
   * change.
   */
  private firstBefore(one: Request): Request {
    const isChange = ({ op }: Request): boolean => op !== OP.READ && op !== OP.FLUSH;
    if (!isChange(one)) return one;
    const meets = ({ lba, count }: Request): boolean => lba < one.lba + one.count && one.lba < lba + count;
    const oldest = this.out.find((other) => isChange(other) && meets(other)) ?? one;
    return oldest === one ? one : this.firstBefore(oldest);
  }

  get sent(): string[] {
    return this.out.map(({ op, lba, count }) => `${op === OP.READ ? 'read' : op === OP.WRITE ? 'write' : 'other'} ${lba / 8}+${count / 8}`);
  }

  private execute({ op, lba, count, buffer, bufferOffset }: Request): void {
    const [from, upTo] = [lba * SECTOR_BYTES, (lba + count) * SECTOR_BYTES];
    if (op === OP.READ) this.content.copy(buffer, bufferOffset, from, upTo);
    else if (op === OP.WRITE) buffer.copy(this.content, from, bufferOffset, bufferOffset + upTo - from);
    else this.content.fill(0, from, upTo);
  }
}

test.each([true, false])(
  'zeros that must stay allocated (%s) carry that flag for the whole blocks of an unaligned range',
  (mustKeepAllocated) => {
    const scene = new Scene();
    scene.submit('zero', 100, 3 * BLOCK, 0, true, false, mustKeepAllocated);
    for (let reads = scene.out.filter(({ op }) => op === OP.READ); reads.length > 0; reads = scene.out.filter(({ op }) => op === OP.READ)) {
      scene.answer(scene.out.indexOf(reads[0]!));
    }
    const zeros = scene.out.filter(({ op }) => op === OP.ZERO);
    expect(zeros).toHaveLength(1);
    expect((zeros[0]!.flags & FLAG.NO_HOLE) !== 0).toBe(mustKeepAllocated);
  },
);

test('a write within a block reads the block and writes it; its other bytes stay', () => {
  const scene = new Scene();
  scene.submit('write', BLOCK + 100, 50, 7);
  expect(scene.sent).toEqual(['read 1+1']);
  scene.answer(0);
  expect(scene.sent).toEqual(['write 1+1']);
  scene.answer(0);
  expect(scene.done.map(({ status }) => status)).toEqual([STATUS.OK]);
  const expected = Buffer.alloc(BLOCK * BLOCKS, 1).fill(7, BLOCK + 100, BLOCK + 150);
  expect(scene.content.equals(expected)).toBe(true);
});

test('whole blocks in the middle are not read first, and an end on a block border has no edge', () => {
  const scene = new Scene();
  scene.submit('write', BLOCK - 1, 3 * BLOCK + 2, 7);
  expect(scene.sent).toEqual(['read 0+1', 'read 4+1']);
  scene.answer(0);
  scene.answer(0);
  expect(scene.sent).toEqual(['write 0+1', 'write 1+3', 'write 4+1']);
  scene.submit('zero', 6 * BLOCK, BLOCK + 1);
  expect(scene.sent.at(-1)).toBe('read 7+1');
});

test('a write waits for a whole-block write in flight, because its earlier read would overwrite that data', () => {
  const scene = new Scene();
  scene.submit('write', 0, BLOCK, 5, false);
  scene.submit('write', 10, 20, 7);
  expect(scene.sent).toEqual(['write 0+1']);
  scene.answer(0);
  expect(scene.sent).toEqual(['read 0+1']);
  scene.submit('write', 0, BLOCK, 9, false);
  scene.submit('write', 4 * BLOCK, BLOCK, 9, false);
  expect(scene.sent).toEqual(['read 0+1', 'write 4+1']);
});

test('a discard leaves out the blocks that it covers in part', () => {
  const scene = new Scene();
  scene.submit('discard', 1, BLOCK);
  scene.clock.advance(0);
  expect([scene.sent, scene.done.map(({ status }) => status)]).toEqual([[], [STATUS.OK]]);
  scene.submit('discard', 1, 3 * BLOCK);
  expect(scene.sent).toEqual(['other 1+2']);
});

test('a failure on the way fails the request, and waiting requests continue', () => {
  const scene = new Scene();
  const first = scene.submit('write', 10, 20, 7);
  const second = scene.submit('write', 40, 20, 8);
  scene.answer(0, STATUS.IO_ERROR);
  expect(scene.done).toEqual([{ io: first, status: STATUS.IO_ERROR }]);
  scene.answer(0);
  scene.answer(0);
  expect(scene.done[1]).toEqual({ io: second, status: STATUS.OK });
  expect(scene.volume.outstanding).toBe(0);
});

test('abandoning the requests also ends those that wait', () => {
  const scene = new Scene();
  for (let at = 0; at < 4; at++) scene.submit('write', 10, 20, 7);
  scene.submit('write', 0, BLOCK, 7, false);
  for (let at = 0; at < BYTE_RANGES_OUT_MAX; at++) scene.submit('read', 1, 1);
  scene.volume.abandon();
  expect(new Set(scene.done.map(({ status }) => status))).toEqual(new Set([STATUS.OUTCOME_UNKNOWN]));
  expect([scene.done.length, scene.volume.outstanding, scene.out.length]).toEqual([5 + BYTE_RANGES_OUT_MAX, 0, 0]);
  scene.submit('write', 10, 20, 7);
  expect(scene.sent).toEqual(['read 0+1']);
});

test('with FUA the writes of the blocks at the ends carry the flag too, and the reads do not', () => {
  const scene = new Scene();
  scene.submit('write', BLOCK - 1, BLOCK + 2, 7, true, true);
  const flags = (): boolean[] => scene.out.map((request) => (request.flags & FLAG.FUA) !== 0);
  expect([scene.sent, flags()]).toEqual([
    ['read 0+1', 'read 2+1'],
    [false, false],
  ]);
  scene.answer(0);
  scene.answer(0);
  expect([scene.sent, flags()]).toEqual([
    ['write 0+1', 'write 1+1', 'write 2+1'],
    [true, true, true],
  ]);
  scene.submit('zero', 5 * BLOCK + 1, 1, 0, true, true);
  scene.answer(3);
  expect([scene.sent.at(-1), flags().at(-1)]).toEqual(['write 5+1', true]);
});

test('an error anywhere on the way is the answer, once nothing is in flight', () => {
  for (const [reading, writing] of [
    [[STATUS.IO_ERROR, STATUS.OK], []],
    [[STATUS.OK, STATUS.IO_ERROR], []],
    ...[0, 1, 2].map((at) => [[STATUS.OK, STATUS.OK], [0, 1, 2].map((piece) => (piece === at ? STATUS.NO_SPACE : STATUS.OK))]),
  ] as Status[][][]) {
    const scene = new Scene();
    const io = scene.submit('write', BLOCK - 1, BLOCK + 2, 7);
    for (const status of [...reading!, ...writing!]) {
      expect(scene.done).toEqual([]);
      scene.answer(0, status);
    }
    expect(scene.done).toEqual([{ io, status: writing!.length === 0 ? STATUS.IO_ERROR : STATUS.NO_SPACE }]);
    expect([scene.out.length, scene.volume.outstanding]).toEqual([0, 0]);
    scene.submit('write', BLOCK - 1, BLOCK + 2, 7);
    expect(scene.out).toHaveLength(2);
  }
});

test('the last byte of the volume is writable, bytes beyond it are not, and a read-only volume accepts none', () => {
  const size = BLOCK * BLOCKS;
  const scene = new Scene();
  scene.submit('write', size - 1, 1, 7);
  scene.answer(0);
  scene.answer(0);
  expect(scene.content[size - 1]).toBe(7);
  for (const op of ['read', 'write', 'zero', 'discard'] as const) scene.submit(op, size - 1, 2);
  scene.submit('write', 2 ** 64, 1);
  scene.clock.advance(0);
  expect(scene.done.map(({ status }) => status)).toEqual([STATUS.OK, ...Array.from({ length: 5 }, () => STATUS.PAST_END)]);
  const readonly = new Scene({ readonly: true });
  for (const op of ['write', 'zero', 'discard'] as const) readonly.submit(op, 1, 1);
  readonly.clock.advance(0);
  expect([readonly.sent, readonly.done.map(({ status }) => status)]).toEqual([[], Array.from({ length: 3 }, () => STATUS.READ_ONLY)]);
});

test('bytes within a block of a shared volume are refused, because another machine may write other bytes of it meanwhile', () => {
  const scene = new Scene({ shared: true });
  scene.submit('write', 1, 1, 7);
  scene.submit('zero', 1, BLOCK);
  scene.clock.advance(0);
  expect([scene.sent, scene.done.map(({ status }) => status)]).toEqual([[], [STATUS.MISALIGNED, STATUS.MISALIGNED]]);
  scene.submit('read', 1, 1);
  scene.submit('write', BLOCK, BLOCK, 7);
  scene.submit('discard', 4 * BLOCK + 1, 2 * BLOCK);
  expect(scene.sent).toEqual(['read 0+1', 'write 1+1', 'other 5+1']);
});

test('no more requests than the bound are in flight', () => {
  const scene = new Scene();
  for (let at = 0; at < BYTE_RANGES_OUT_MAX + 9; at++) scene.submit('read', 1, 1);
  expect(scene.out).toHaveLength(BYTE_RANGES_OUT_MAX);
  while (scene.out.length > 0) scene.answer(0);
  expect(scene.done).toHaveLength(BYTE_RANGES_OUT_MAX + 9);
});

test('many requests at once, answered in any order: no byte of one is lost to another', () => {
  const size = BLOCK * BLOCKS;
  // The cuts divide the volume into ranges that share blocks but no bytes. Ranges with even numbers are submitted as whole blocks if
  // possible, as if another frontend had sent them.
  const cuts = fc.uniqueArray(
    fc.oneof(
      fc.integer({ min: 1, max: size - 1 }),
      fc.integer({ min: 1, max: BLOCKS - 1 }).map((at) => at * BLOCK),
    ),
    {
      minLength: 3,
      maxLength: 24,
    },
  );
  const kinds = fc.array(fc.constantFrom<VolumeOp>('write', 'write', 'zero', 'read'), { minLength: 25, maxLength: 25 });
  fc.assert(
    fc.property(cuts, kinds, fc.array(fc.nat(50), { maxLength: 200 }), (points, ops, turns) => {
      const scene = new Scene();
      const edges = [0, ...points.toSorted((a, b) => a - b), size];
      const expected = Buffer.alloc(size, 1);
      const reads: { io: VolumeIo; begin: number; end: number }[] = [];
      let turn = 0;
      for (let at = 0; at + 1 < edges.length; at++) {
        const [begin, end] = [edges[at]!, edges[at + 1]!];
        const op = ops[at] ?? 'write';
        const isWhole = begin % BLOCK === 0 && end % BLOCK === 0;
        const io = scene.submit(op, begin, end - begin, 10 + at, !isWhole);
        if (op === 'read') reads.push({ io, begin, end });
        else expected.fill(op === 'zero' ? 0 : 10 + at, begin, end);
        if ((turns[turn] ?? 0) % 3 === 0) scene.answer(turns[turn++] ?? 0);
      }
      while (scene.out.length > 0) scene.answer(turns[turn++] ?? 0);
      expect(scene.done.every(({ status }) => status === STATUS.OK)).toBe(true);
      expect(scene.done).toHaveLength(edges.length - 1);
      expect(scene.content.equals(expected)).toBe(true);
      for (const { io, begin, end } of reads) expect(io.buffer.subarray(16, 16 + end - begin).every((byte) => byte === 1)).toBe(true);
      assert(scene.volume.outstanding === 0, 'Something is outstanding');
    }),
    { numRuns: 300 },
  );
});

test('a waiting request is not overtaken by a later change of the same block, which a new connection may see as written', () => {
  const scene = new Scene();
  for (let at = 0; at < BYTE_RANGES_OUT_MAX; at++) scene.submit('read', 1, 1);
  scene.submit('write', 3 * BLOCK + 10, 20, 7);
  const later = scene.submit('write', 3 * BLOCK, BLOCK, 9, false);
  while (!scene.done.some(({ io }) => io === later)) scene.answer(scene.out.length - 1);
  while (scene.out.length > 0) scene.answer(0);
  expect(scene.content.subarray(3 * BLOCK, 4 * BLOCK).equals(Buffer.alloc(BLOCK, 9))).toBe(true);
});

test('requests that wait for one slow block delay no request for other blocks', () => {
  const scene = new Scene();
  for (let at = 0; at < 2 * BYTE_RANGES_OUT_MAX; at++) scene.submit('write', 10, 20, 7);
  scene.submit('write', 5 * BLOCK + 10, 20, 7);
  expect(scene.sent).toEqual(['read 0+1', 'read 5+1']);
});

test('a chain of overlapping changes of whole blocks is executed in its order, whichever the server takes up first', () => {
  const scene = new Scene();
  scene.submit('write', BLOCK, BLOCK, 2, false);
  scene.submit('write', 0, 2 * BLOCK, 3, false);
  scene.submit('write', 0, BLOCK, 4, false);
  while (scene.out.length > 0) scene.answer(scene.out.length - 1);
  expect(scene.content.subarray(0, 2 * BLOCK)).toEqual(Buffer.concat([Buffer.alloc(BLOCK, 4), Buffer.alloc(BLOCK, 3)]));
});

test('any overlapping ranges, answered in any order: the result is that of executing them in order of arrival', () => {
  const size = BLOCK * BLOCKS;
  const places = fc.oneof(
    fc.integer({ min: 0, max: size }),
    fc.nat(BLOCKS).map((at) => at * BLOCK),
    fc.integer({ min: 0, max: 3 * BLOCK }),
  );
  const one = fc.record({
    op: fc.constantFrom<VolumeOp>('write', 'write', 'zero', 'discard', 'read'),
    places: fc.tuple(places, places),
    turn: fc.nat(99),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 2 * BYTE_RANGES_OUT_MAX }), fc.infiniteStream(fc.nat(200)), (steps, turns) => {
      const scene = new Scene();
      const expected = Buffer.alloc(size, 1);
      // These reads take most of the BYTE_RANGES_OUT_MAX places, so that some of the following requests must wait.
      for (let at = 0; at < BYTE_RANGES_OUT_MAX - 4; at++) scene.submit('read', 1, 1);
      for (const [at, { op, places: ends, turn }] of steps.entries()) {
        const [begin, end] = [Math.min(...ends), Math.max(...ends)];
        if (begin === end) continue;
        const fill = 2 + (at % 250);
        scene.submit(op, begin, end - begin, fill, begin % BLOCK !== 0 || end % BLOCK !== 0);
        if (op === 'write') expected.fill(fill, begin, end);
        else if (op === 'zero') expected.fill(0, begin, end);
        else if (op === 'discard')
          expected.fill(0, Math.ceil(begin / BLOCK) * BLOCK, Math.max(Math.ceil(begin / BLOCK), Math.floor(end / BLOCK)) * BLOCK);
        if (turn % 4 === 0 && scene.out.length > 0) scene.answer(turn);
      }
      while (scene.out.length > 0) scene.answer(turns.next().value ?? 0);
      expect([scene.volume.outstanding, scene.done.every(({ status }) => status === STATUS.OK)]).toEqual([0, true]);
      expect(scene.content.equals(expected)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

/** Submits the write of a whole block that expects the block to have the byte `expected` everywhere. */
function compareAndWrite(scene: Scene, block: number, expected: number, fill: number, lengthBytes = BLOCK): VolumeIo {
  const done = (status: Status): void => void scene.done.push({ io, status });
  const io: VolumeIo = {
    op: 'write',
    positionBytes: block * BLOCK,
    lengthBytes,
    buffer: Buffer.alloc(lengthBytes, fill),
    bufferOffset: 0,
    expected: Buffer.alloc(BLOCK, expected),
    fua: true,
    mustKeepAllocated: false,
    done,
  };
  scene.volume.submit(io);
  return io;
}

test('a block that must have an expected content is read, and written only if it has it', () => {
  const scene = new Scene();
  const [right, wrong] = [compareAndWrite(scene, 1, 1, 7), compareAndWrite(scene, 1, 1, 9)];
  expect(scene.sent).toEqual(['read 1+1']);
  scene.answer(0);
  expect([scene.sent, scene.out[0]!.flags & FLAG.FUA]).toEqual([['write 1+1'], FLAG.FUA]);
  scene.answer(0);
  expect(scene.sent).toEqual(['read 1+1']);
  scene.answer(0);
  expect(scene.done.map(({ io, status }) => [io === right, io.differs, status])).toEqual([
    [true, false, STATUS.OK],
    [false, true, STATUS.OK],
  ]);
  expect(scene.content[BLOCK]).toBe(7);
  // A read that fails writes nothing.
  wrong.differs = false;
  compareAndWrite(scene, 1, 7, 9);
  scene.answer(0, STATUS.IO_ERROR);
  expect([scene.sent, scene.done.at(-1)?.status]).toEqual([[], STATUS.IO_ERROR]);
});

test('an expected content is refused for more than a block, and on a shared volume, because another machine may write between', () => {
  const scene = new Scene();
  compareAndWrite(scene, 0, 1, 7, 2 * BLOCK);
  const shared = new Scene({ shared: true });
  compareAndWrite(shared, 0, 1, 7);
  for (const { clock } of [scene, shared]) clock.advance(0);
  expect([scene, shared].map(({ sent, done }) => [sent, done.map(({ status }) => status)])).toEqual([
    [[], [STATUS.UNSUPPORTED]],
    [[], [STATUS.UNSUPPORTED]],
  ]);
});

test('any writes of blocks with and without an expected content, answered in any order: the result is that of their order of arrival', () => {
  const one = fc.record({
    block: fc.nat(2),
    blocks: fc.integer({ min: 1, max: 2 }),
    fill: fc.integer({ min: 1, max: 3 }),
    expected: fc.integer({ min: 0, max: 3 }),
    turn: fc.nat(99),
  });
  let swapped = 0;
  fc.assert(
    fc.property(fc.array(one, { maxLength: 40, size: 'max' }), fc.infiniteStream(fc.nat(200)), (steps, turns) => {
      const scene = new Scene();
      const content = Array.from({ length: BLOCKS }, () => 1);
      const outcomes: [VolumeIo, boolean][] = [];
      for (const { block, blocks, fill, expected, turn } of steps) {
        if (expected === 0) scene.submit('write', block * BLOCK, blocks * BLOCK, fill, false);
        else outcomes.push([compareAndWrite(scene, block, expected, fill), content[block] !== expected]);
        if (expected === 0) content.fill(fill, block, block + blocks);
        else if (content[block] === expected) content[block] = fill;
        if (turn % 4 === 0 && scene.out.length > 0) scene.answer(turn);
      }
      while (scene.out.length > 0) scene.answer(turns.next().value ?? 0);
      for (const [io, differs] of outcomes) expect(io.differs).toBe(differs);
      swapped += outcomes.filter(([, differs]) => !differs).length;
      expect([scene.done.length, scene.volume.outstanding]).toEqual([steps.length, 0]);
      expect(Array.from({ length: BLOCKS }, (_, at) => scene.content[at * BLOCK])).toEqual(content);
    }),
    { numRuns: 200 },
  );
  expect(swapped).toBeGreaterThan(100);
});
