// The replay log against a naive model of itself (a map from sectors to what they hold) and a model of a server with a cache over a disk:
// whatever is answered, flushed, lost and replayed, in whatever order, after a recovery every sector holds what was acknowledged last.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assert } from '../lib/assert.ts';
import {
  REPLAY_CELL_BYTES,
  REPLAY_CELL_COST_BYTES,
  REPLAY_RANGE_COST_BYTES,
  REPLAY_RANGES_MAX,
  SECTOR_BYTES,
  SEGMENT_BYTES,
  SLOTS,
  WIDE_COUNT_MAX,
  WIDE_UNIT_SECTORS,
} from '../limits.ts';
import { FLAG, OP } from '../wire/frames.ts';
import { sectorsOf } from '../wire/header.ts';
import { SlabPool } from './replay-cells.ts';
import type { Replay } from './replay.ts';
import { ReplayLog } from './replay-log.ts';
import { Request } from './request.ts';

const SECTORS = 48;
const CELL_COST = REPLAY_CELL_BYTES + REPLAY_CELL_COST_BYTES;
const MARGIN = SLOTS * REPLAY_RANGE_COST_BYTES;
const ZEROES = 0;
const HOLE = -1;

interface Change {
  readonly request: Request;
  readonly id: number;
  isExecuted: boolean;
}

interface Flush {
  mark: number;
  answeredBefore: number;
  isExecuted: boolean;
}

function change(op: number, lba: number, count: number, { flags = 0, id = 1 }: { flags?: number; id?: number } = {}): Request {
  const request = Object.assign(new Request(), { op, lba, count, flags, bufferOffset: 64 });
  if (op !== OP.WRITE) return request;
  request.bodyBytes = count * SECTOR_BYTES;
  request.buffer = Buffer.alloc(request.bodyBytes + 64);
  for (let at = 0; at < count; at++) {
    request.buffer.writeUInt32BE(id, 64 + at * SECTOR_BYTES);
    request.buffer.writeUIntBE(lba + at, 64 + (at + 1) * SECTOR_BYTES - 6, 6);
  }
  return request;
}

/** What each sector of a request holds when it is executed. */
function contents(request: Request): [sector: number, value: number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < sectorsOf(request.op, request.flags, request.count); at++) {
    const offset = request.bufferOffset + at * SECTOR_BYTES;
    const value = request.op === OP.WRITE ? request.buffer.readUInt32BE(offset) : request.op === OP.ZERO ? ZEROES : HOLE;
    if (request.op === OP.WRITE) expect(request.buffer.readUIntBE(offset + SECTOR_BYTES - 6, 6)).toBe(request.lba + at);
    found.push([request.lba + at, value]);
  }
  return found;
}

function nextPiece(replay: Replay): Request {
  const request = new Request();
  request.buffer = Buffer.alloc(SEGMENT_BYTES);
  replay.next(request);
  return request;
}

/** One log, one server and who uses them. */
class World {
  readonly log: ReplayLog;
  private readonly inFlight: Change[] = [];
  private flushes: Flush[] = [];
  private readonly cache = new Array<number>(SECTORS).fill(HOLE);
  private readonly disk = new Array<number>(SECTORS).fill(HOLE);
  private readonly acknowledged = new Array<number>(SECTORS).fill(HOLE);
  /** What the log should hold: for each sector the value, and how many changes had been answered when it was. */
  private readonly expected = new Map<number, { value: number; answered: number }>();
  private ids = 0;
  private answered = 0;
  private life = 1;

  constructor(cells: number) {
    this.log = new ReplayLog(MARGIN + cells * CELL_COST, new SlabPool(2));
    this.log.opened('1');
  }

  submit(op: number, lba: number, count: number, isFua: boolean): void {
    const id = ++this.ids;
    const request = change(op, lba, Math.min(count, SECTORS - lba), { flags: isFua ? FLAG.FUA : 0, id });
    const end = request.lba + request.count;
    if (this.inFlight.some(({ request: other }) => other.lba < end && lba < other.lba + other.count)) return;
    if (this.log.reserve(request) !== 'taken') return;
    this.inFlight.push({ request, id, isExecuted: false });
  }

  execute(at: number): void {
    const one = this.inFlight[at % this.inFlight.length];
    if (one === undefined || one.isExecuted) return;
    one.isExecuted = true;
    for (const [sector, value] of contents(one.request)) {
      this.cache[sector] = value;
      if ((one.request.flags & FLAG.FUA) !== 0) this.disk[sector] = value;
    }
  }

  answer(at: number): void {
    const one = this.inFlight[at % this.inFlight.length];
    if (one === undefined || !one.isExecuted) return;
    this.inFlight.splice(this.inFlight.indexOf(one), 1);
    this.answered++;
    for (const [sector, value] of contents(one.request)) {
      this.acknowledged[sector] = value;
      if ((one.request.flags & FLAG.FUA) !== 0) this.expected.delete(sector);
      else this.expected.set(sector, { value, answered: this.answered });
    }
    this.log.answered(one.request);
    // Its owner uses the buffer again.
    one.request.buffer.fill(0xee);
  }

  complete(at: number): void {
    this.execute(at);
    this.answer(at);
  }

  completeFlush(at: number): void {
    this.executeFlush(at);
    this.answerFlush(at, true);
  }

  fail(at: number): void {
    const one = this.inFlight[at % this.inFlight.length];
    if (one === undefined || one.isExecuted) return;
    this.inFlight.splice(this.inFlight.indexOf(one), 1);
    this.log.dropped(one.request);
  }

  sendFlush(): void {
    this.flushes.push({ mark: this.log.flushSent(), answeredBefore: this.answered, isExecuted: false });
  }

  executeFlush(at: number): void {
    const flush = this.flushes[at % this.flushes.length];
    if (flush === undefined) return;
    flush.isExecuted = true;
    this.cache.forEach((value, sector) => {
      this.disk[sector] = value;
    });
  }

  answerFlush(at: number, isOk: boolean): void {
    const flush = this.flushes[at % this.flushes.length];
    if (flush === undefined || (isOk && !flush.isExecuted)) return;
    this.flushes.splice(this.flushes.indexOf(flush), 1);
    if (!isOk) return;
    for (const [sector, { answered }] of this.expected) if (answered <= flush.answeredBefore) this.expected.delete(sector);
    this.log.flushed(flush.mark, 0);
  }

  writeBack(sector: number): void {
    this.disk[sector % SECTORS] = this.cache[sector % SECTORS]!;
  }

  /** The session is lost, and with the storage's life what was not on disk; recoveries that are interrupted so, then one that is not. */
  crash(isNewLife: boolean, interruptions: readonly { executed: number; answered: number; isNewLife: boolean; kept: number[] }[]): void {
    const late = this.flushes.splice(0);
    this.beginLife(isNewLife);
    for (const { executed, answered, isNewLife: next, kept } of interruptions) {
      const replay = this.log.opened(String(this.life));
      const pieces: Request[] = [];
      while (replay?.hasNext === true) pieces.push(nextPiece(replay));
      pieces.slice(0, executed + answered).forEach((piece) => this.executePiece(piece));
      pieces.slice(0, answered).forEach(() => this.log.replayed(replay!));
      for (const sector of kept) this.writeBack(sector);
      this.beginLife(next);
    }
    this.recover();
    // What was sent in a lost session covers nothing, were it answered ever so late.
    for (const { mark } of late) this.log.flushed(mark, 0);
  }

  check(): void {
    const { log } = this;
    const values = [...this.expected.values()].map(({ value }) => value);
    expect(log.dataBytes).toBe(values.filter((value) => value > 0).length * SECTOR_BYTES);
    expect(log.rangeBytes).toBe(values.filter((value) => value <= 0).length * SECTOR_BYTES);
    expect(log.usedBytes + log.reservedBytes).toBeLessThanOrEqual(log.sizeBytes);
    expect(log.isEmpty).toBe(this.expected.size === 0);
  }

  private beginLife(isNew: boolean): void {
    for (const one of this.inFlight) one.isExecuted = false;
    if (!isNew) return;
    this.life++;
    this.disk.forEach((value, sector) => {
      this.cache[sector] = value;
    });
  }

  private recover(): void {
    const replay = this.log.opened(String(this.life));
    const replayed = new Map<number, number>();
    while (replay?.hasNext === true) {
      const piece = nextPiece(replay);
      for (const [sector, value] of contents(piece)) {
        expect(replayed.has(sector)).toBe(false);
        replayed.set(sector, value);
      }
      this.executePiece(piece);
      expect(this.log.replayed(replay)).toBe(!replay.hasNext);
    }
    if (replay !== null) expect(replayed).toEqual(new Map([...this.expected].map(([sector, { value }]) => [sector, value])));
    expect(this.log.life).toBe(String(this.life));
    while (this.inFlight.length > 0) {
      this.execute(0);
      this.answer(0);
    }
    expect(this.cache).toEqual(this.acknowledged);
  }

  private executePiece(piece: Request): void {
    assert((piece.flags & FLAG.FUA) === 0, 'A replay needs no FUA');
    for (const [sector, value] of contents(piece)) this.cache[sector] = value;
  }
}

const index = fc.nat(30);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        op: fc.constantFrom(OP.WRITE, OP.WRITE, OP.WRITE, OP.ZERO, OP.DISCARD),
        lba: fc.nat(SECTORS - 1),
        count: fc.integer({ min: 1, max: 20 }),
        isFua: fc.boolean(),
      })
      .map(({ op, lba, count, isFua }) => ({ do: (world: World) => world.submit(op, lba, count, isFua && lba % 2 === 0), name: 'submit' })),
  },
  { weight: 2, arbitrary: index.map((at) => ({ do: (world: World) => world.execute(at), name: 'execute' })) },
  { weight: 2, arbitrary: index.map((at) => ({ do: (world: World) => world.answer(at), name: 'answer' })) },
  { weight: 6, arbitrary: index.map((at) => ({ do: (world: World) => world.complete(at), name: 'execute and answer' })) },
  { weight: 1, arbitrary: index.map((at) => ({ do: (world: World) => world.fail(at), name: 'fail' })) },
  { weight: 2, arbitrary: fc.constant({ do: (world: World) => world.sendFlush(), name: 'flush' }) },
  { weight: 1, arbitrary: index.map((at) => ({ do: (world: World) => world.executeFlush(at), name: 'flush executed' })) },
  { weight: 2, arbitrary: index.map((at) => ({ do: (world: World) => world.completeFlush(at), name: 'flush executed and answered' })) },
  {
    weight: 2,
    arbitrary: fc
      .record({ at: index, isOk: fc.integer({ min: 0, max: 3 }).map((one) => one > 0) })
      .map(({ at, isOk }) => ({ do: (world: World) => world.answerFlush(at, isOk), name: 'flush answered' })),
  },
  { weight: 2, arbitrary: fc.nat(SECTORS - 1).map((sector) => ({ do: (world: World) => world.writeBack(sector), name: 'write back' })) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        isNewLife: fc.integer({ min: 0, max: 3 }).map((one) => one > 0),
        interruptions: fc.array(
          fc.record({
            executed: fc.nat(4),
            answered: fc.nat(4),
            isNewLife: fc.boolean(),
            kept: fc.array(fc.nat(SECTORS - 1), { maxLength: 8 }),
          }),
          { maxLength: 2 },
        ),
      })
      .map(({ isNewLife, interruptions }) => ({ do: (world: World) => world.crash(isNewLife, interruptions), name: 'crash' })),
  },
);

test('after every recovery each sector holds what was acknowledged last, and the log is what the naive one is', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 12 }), (steps, cells) => {
      const world = new World(cells);
      for (const one of steps) {
        one.do(world);
        world.check();
      }
      world.crash(true, []);
      world.check();
    }),
    { numRuns: 600 },
  );
});

function logOf(cells: number, pool = new SlabPool(0)): ReplayLog {
  const log = new ReplayLog(MARGIN + cells * CELL_COST, pool);
  log.opened('first');
  return log;
}

function enter(log: ReplayLog, request: Request): void {
  expect(log.reserve(request)).toBe('taken');
  log.answered(request);
}

function pieces(log: ReplayLog, life: string): Request[] {
  const replay = log.opened(life);
  const found: Request[] = [];
  while (replay?.hasNext === true) found.push(nextPiece(replay));
  return found;
}

describe('room', () => {
  test('is taken before a WRITE is sent, for every cell that it touches, and given back when it fails', () => {
    const log = logOf(3);
    const [first, second] = [change(OP.WRITE, 7, 2), change(OP.WRITE, 20, 8)];
    expect(log.reserve(first)).toBe('taken');
    expect(log.reservedBytes).toBe(2 * CELL_COST);
    expect(log.reserve(second)).toBe('flush');
    log.dropped(first);
    log.dropped(first);
    expect(log.reservedBytes).toBe(0);
    expect(log.reserve(second)).toBe('taken');
    expect(log.reserve(second)).toBe('taken');
    expect(log.reservedBytes).toBe(2 * CELL_COST);
  });

  test('is used by what is answered, and free again after a FLUSH', () => {
    const log = logOf(2);
    enter(log, change(OP.WRITE, 0, 16));
    expect([log.usedBytes, log.reservedBytes, log.dataBytes]).toEqual([2 * CELL_COST, 0, 16 * SECTOR_BYTES]);
    const late = change(OP.WRITE, 0, 1);
    expect(log.reserve(late)).toBe('flush');
    log.flushed(log.flushSent(), 0);
    expect([log.usedBytes, log.isEmpty]).toEqual([0, true]);
    expect(log.reserve(late)).toBe('taken');
  });

  test('a WRITE that never fits goes with FUA, which needs none', () => {
    const log = logOf(2);
    expect(log.reserve(change(OP.WRITE, 1, 16))).toBe('fua');
    enter(log, change(OP.WRITE, 1, 16, { flags: FLAG.FUA }));
    expect([log.isEmpty, log.reservedBytes]).toEqual([true, 0]);
  });

  test('what is written again and again takes no more', () => {
    const log = logOf(2);
    for (let id = 1; id < 50; id++) {
      enter(log, change(OP.WRITE, 0, 8, { id }));
      expect(log.usedBytes).toBe(CELL_COST);
    }
    expect(pieces(log, 'second').flatMap(contents)).toEqual(Array.from({ length: 8 }, (_unused, sector) => [sector, 49]));
  });

  test('a WRITE with FUA that splits a zeroed range of a full log has room for what it splits', () => {
    const log = logOf(2);
    enter(log, change(OP.ZERO, 0, 1000));
    enter(log, change(OP.WRITE, 2000, 1));
    expect(log.reserve(change(OP.WRITE, 3000, 1))).toBe('flush');
    for (let at = 0; at < SLOTS; at++) enter(log, change(OP.WRITE, 1 + 2 * at, 1, { flags: FLAG.FUA }));
    let more = 0;
    for (; more < CELL_COST && log.reserve(change(OP.WRITE, 900 + more, 1, { flags: FLAG.FUA })) === 'taken'; more++);
    expect(log.usedBytes + log.reservedBytes).toBeLessThanOrEqual(log.sizeBytes);
    expect(more).toBeLessThan(CELL_COST / REPLAY_RANGE_COST_BYTES);
  });

  test('is taken for a range that is split, too', () => {
    const log = logOf(9);
    enter(log, change(OP.ZERO, 0, 1000));
    expect(log.reserve(change(OP.WRITE, 8, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(CELL_COST + REPLAY_RANGE_COST_BYTES);
    expect(log.reserve(change(OP.DISCARD, 80, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(CELL_COST + 3 * REPLAY_RANGE_COST_BYTES);
    expect(log.reserve(change(OP.DISCARD, 2000, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(CELL_COST + 4 * REPLAY_RANGE_COST_BYTES);
  });

  test('ranges are counted: past their number a FLUSH is needed', () => {
    const log = logOf(10_000);
    const count = REPLAY_RANGES_MAX - SLOTS;
    for (let at = 0; at < count; at++) enter(log, change(OP.DISCARD, at * 2, 1));
    expect(log.reserve(change(OP.DISCARD, count * 2, 1))).toBe('flush');
    expect(log.reserve(change(OP.WRITE, count * 2, 1))).toBe('taken');
    log.flushed(log.flushSent(), 0);
    expect(log.reserve(change(OP.DISCARD, count * 2, 1))).toBe('taken');
  });
});

test('it tells since when it holds something, and when it was flushed last', () => {
  const log = logOf(9);
  const at = (request: Request, submittedMs: number): Request => Object.assign(request, { submittedMs });
  expect([log.sinceMs, log.flushedMs]).toEqual([null, null]);
  enter(log, at(change(OP.WRITE, 0, 1, { flags: FLAG.FUA }), 50));
  expect(log.sinceMs).toBeNull();
  enter(log, at(change(OP.WRITE, 0, 1), 100));
  enter(log, at(change(OP.ZERO, 8, 1), 200));
  const mark = log.flushSent();
  enter(log, at(change(OP.WRITE, 16, 1), 400));
  expect([log.sinceMs, log.flushedMs]).toEqual([100, null]);
  log.flushed(mark, 300);
  expect([log.sinceMs, log.flushedMs]).toEqual([300, 300]);
  log.flushed(log.flushSent(), 500);
  expect([log.sinceMs, log.flushedMs]).toEqual([null, 500]);
});

describe('replay', () => {
  test('what lies side by side is one request, of 256 KiB at most', () => {
    const log = logOf(300);
    for (let at = 99; at >= 0; at--) enter(log, change(OP.WRITE, 5 + at * 8, 8, { id: 1 + at }));
    const found = pieces(log, 'second');
    expect(found.map(({ op, lba, count, bodyBytes }) => [op, lba, count, bodyBytes])).toEqual([
      [OP.WRITE, 5, 512, SEGMENT_BYTES],
      [OP.WRITE, 517, 288, 288 * SECTOR_BYTES],
    ]);
    expect(found.flatMap(contents)).toEqual(Array.from({ length: 800 }, (_unused, at) => [5 + at, 1 + Math.floor(at / 8)]));
  });

  test('ranges go in MiB, within the bound, and what is left in sectors; ZERO keeps its flag', () => {
    const log = logOf(1);
    const most = WIDE_COUNT_MAX * WIDE_UNIT_SECTORS;
    const flags = FLAG.WIDE | FLAG.NO_HOLE;
    enter(log, change(OP.ZERO, 8, WIDE_COUNT_MAX, { flags }));
    enter(log, change(OP.ZERO, 8 + most, 1, { flags }));
    enter(log, change(OP.DISCARD, 8 + most + WIDE_UNIT_SECTORS, 24));
    expect(pieces(log, 'second').map(({ op, lba, count, flags: piece }) => [op, lba, count, piece])).toEqual([
      [OP.ZERO, 8, WIDE_COUNT_MAX, flags],
      [OP.ZERO, 8 + most, 1, flags],
      [OP.DISCARD, 8 + most + WIDE_UNIT_SECTORS, 24, 0],
    ]);
  });

  test('goes to the last sector that can be addressed', () => {
    const log = logOf(20);
    const end = 2 ** 48;
    for (const lba of [end - 8, end - 100, 2 ** 35, 2 ** 35 + 2 ** 32, 0]) enter(log, change(OP.WRITE, lba, 3));
    expect(pieces(log, 'second').map(({ lba, count }) => [lba, count])).toEqual([
      [0, 3],
      [2 ** 35, 3],
      [2 ** 35 + 2 ** 32, 3],
      [end - 100, 3],
      [end - 8, 3],
    ]);
  });

  test('the log takes the new life when every piece is answered, not when it is sent; an empty one at once', () => {
    const log = logOf(9);
    expect(log.opened('second')).toBeNull();
    expect(log.life).toBe('second');
    enter(log, change(OP.WRITE, 0, 1));
    enter(log, change(OP.WRITE, 100, 1));
    const replay = log.opened('third')!;
    nextPiece(replay);
    nextPiece(replay);
    expect([replay.hasNext, log.life]).toEqual([false, 'second']);
    expect([log.replayed(replay), log.life]).toEqual([false, 'second']);
    expect([log.replayed(replay), log.life]).toEqual([true, 'third']);
    expect(log.opened('third')).toBeNull();
    expect(log.dataBytes).toBe(2 * SECTOR_BYTES);
  });

  test('answers of a replay that was interrupted count for nothing', () => {
    const log = logOf(9);
    enter(log, change(OP.WRITE, 0, 1));
    const interrupted = log.opened('second')!;
    nextPiece(interrupted);
    const next = log.opened('second')!;
    expect([log.replayed(interrupted), log.life]).toEqual([false, 'first']);
    nextPiece(next);
    expect([log.replayed(next), log.life]).toEqual([true, 'second']);
  });

  test('after the volume went to somebody else nothing is left', () => {
    const log = logOf(9);
    enter(log, change(OP.WRITE, 0, 9));
    enter(log, change(OP.DISCARD, 20, 9));
    log.clear();
    expect([log.isEmpty, log.usedBytes, log.opened('second')]).toEqual([true, 0, null]);
  });
});

test('memory is taken in slabs, which are used again', () => {
  const pool = new SlabPool(4);
  let made = 0;
  const take = pool.take.bind(pool);
  const taken = new Set<unknown>();
  pool.take = () => {
    const slab = take();
    if (!taken.has(slab)) made++;
    taken.add(slab);
    return slab;
  };
  const log = logOf(256, pool);
  for (let round = 0; round < 5; round++) {
    // In an order that scatters the cells over the slabs.
    for (let at = 0; at < 256; at++) enter(log, change(OP.WRITE, ((at * 37) % 256) * 8, 8, { id: 1 + round }));
    expect(log.reserve(change(OP.WRITE, 4096, 1))).toBe('flush');
    log.flushed(log.flushSent(), 0);
  }
  expect(made).toBe(4);
});
