// Tests the replay log case by case: room that is reserved and released, changes that need a FLUSH or FUA, the reports of the log, and the
// requests of a replay. replay-log-random.test.ts tests arbitrary sequences. Rules: L1 to L3, G5.

import { expectSame } from '@rsio/base/testing/quick-expect';
import { describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEGMENT_BYTES, WIDE_COUNT_MAX } from '../../link/limits.ts';
import { SLOTS, WIDE_UNIT_SECTORS } from '../../wire/limits.ts';
import { REPLAY_RANGES_MAX, REPLAY_RANGE_COST_BYTES } from '../limits.ts';
import { BLOCK_COST, change, contents, MARGIN, nextPiece } from '../../testing/replay-requests.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { SlabPool } from './replay-blocks.ts';
import { ReplayLog } from './replay-log.ts';
import type { Request } from '../requests/request.ts';

function logOf(blocks: number, pool = new SlabPool(0)): ReplayLog {
  const log = new ReplayLog(MARGIN + blocks * BLOCK_COST, pool, null);
  log.opened('first');
  return log;
}

function enter(log: ReplayLog, request: Request): void {
  expectSame(log.reserve(request), 'taken');
  log.answered(request);
}

function pieces(log: ReplayLog, incarnation: string): Request[] {
  const replay = log.opened(incarnation);
  const found: Request[] = [];
  while (replay?.hasNext === true) found.push(nextPiece(replay));
  return found;
}

describe('room', () => {
  test('is reserved before a WRITE is sent, for every block that it touches, and released if the WRITE fails', () => {
    const log = logOf(3);
    const [first, second] = [change(OP.WRITE, 7, 2), change(OP.WRITE, 20, 8)];
    expect(log.reserve(first)).toBe('taken');
    expect(log.reservedBytes).toBe(2 * BLOCK_COST);
    expect(log.reserve(second)).toBe('flush');
    log.dropped(first);
    log.dropped(first);
    expect(log.reservedBytes).toBe(0);
    expect(log.reserve(second)).toBe('taken');
    expect(log.reserve(second)).toBe('taken');
    expect(log.reservedBytes).toBe(2 * BLOCK_COST);
  });

  test('is used by answered changes, and free again after a FLUSH', () => {
    const log = logOf(2);
    enter(log, change(OP.WRITE, 0, 16));
    expect([log.usedBytes, log.reservedBytes, log.dataBytes]).toEqual([2 * BLOCK_COST, 0, 16 * SECTOR_BYTES]);
    const late = change(OP.WRITE, 0, 1);
    expect(log.reserve(late)).toBe('flush');
    log.flushed(log.flushSent(), 0);
    expect([log.usedBytes, log.isEmpty]).toEqual([0, true]);
    expect(log.reserve(late)).toBe('taken');
  });

  test('a WRITE that never fits goes with FUA, which needs no room', () => {
    const log = logOf(2);
    expect(log.reserve(change(OP.WRITE, 1, 16))).toBe('fua');
    enter(log, change(OP.WRITE, 1, 16, { flags: FLAG.FUA }));
    expect([log.isEmpty, log.reservedBytes]).toEqual([true, 0]);
  });

  test('repeated writes to the same sectors use no more room', () => {
    const log = logOf(2);
    for (let id = 1; id < 50; id++) {
      enter(log, change(OP.WRITE, 0, 8, { id }));
      expect(log.usedBytes).toBe(BLOCK_COST);
    }
    expect(pieces(log, 'second').flatMap(contents)).toEqual(Array.from({ length: 8 }, (_unused, sector) => [sector, 49]));
  });

  test('a WRITE with FUA that splits a zeroed range of a full log has room for the split', () => {
    const log = logOf(2);
    enter(log, change(OP.ZERO, 0, 1000));
    enter(log, change(OP.WRITE, 2000, 1));
    expect(log.reserve(change(OP.WRITE, 3000, 1))).toBe('flush');
    for (let at = 0; at < SLOTS; at++) enter(log, change(OP.WRITE, 1 + 2 * at, 1, { flags: FLAG.FUA }));
    let more = 0;
    for (; more < BLOCK_COST && log.reserve(change(OP.WRITE, 900 + more, 1, { flags: FLAG.FUA })) === 'taken'; more++);
    expect(log.usedBytes + log.reservedBytes).toBeLessThanOrEqual(log.sizeBytes);
    expect(more).toBeLessThan(BLOCK_COST / REPLAY_RANGE_COST_BYTES);
  });

  test('is reserved for a range that is split, too', () => {
    const log = logOf(9);
    enter(log, change(OP.ZERO, 0, 1000));
    expect(log.reserve(change(OP.WRITE, 8, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(BLOCK_COST + REPLAY_RANGE_COST_BYTES);
    expect(log.reserve(change(OP.DISCARD, 80, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(BLOCK_COST + 3 * REPLAY_RANGE_COST_BYTES);
    expect(log.reserve(change(OP.DISCARD, 2000, 8))).toBe('taken');
    expect(log.reservedBytes).toBe(BLOCK_COST + 4 * REPLAY_RANGE_COST_BYTES);
  });

  test('the number of ranges is limited: beyond it a FLUSH is needed', () => {
    const log = logOf(10_000);
    const count = REPLAY_RANGES_MAX - SLOTS;
    for (let at = 0; at < count; at++) enter(log, change(OP.DISCARD, at * 2, 1));
    expect(log.reserve(change(OP.DISCARD, count * 2, 1))).toBe('flush');
    expect(log.reserve(change(OP.WRITE, count * 2, 1))).toBe('taken');
    log.flushed(log.flushSent(), 0);
    expect(log.reserve(change(OP.DISCARD, count * 2, 1))).toBe('taken');
  });
});

test('it reports since when it holds something and when it was last flushed', () => {
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
  test('adjacent sectors become one request, of at most 256 KiB', () => {
    const log = logOf(300);
    for (let at = 99; at >= 0; at--) enter(log, change(OP.WRITE, 5 + at * 8, 8, { id: 1 + at }));
    const found = pieces(log, 'second');
    expect(found.map(({ op, lba, count, bodyBytes }) => [op, lba, count, bodyBytes])).toEqual([
      [OP.WRITE, 5, 512, SEGMENT_BYTES],
      [OP.WRITE, 517, 288, 288 * SECTOR_BYTES],
    ]);
    expect(found.flatMap(contents)).toEqual(Array.from({ length: 800 }, (_unused, at) => [5 + at, 1 + Math.floor(at / 8)]));
  });

  test('ranges are sent in MiB, within the limit, and the rest in sectors; ZERO keeps its flag', () => {
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

  test('reaches the last addressable sector', () => {
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

  test('the log changes to the new incarnation when every piece is answered, not when it is sent; an empty log at once', () => {
    const log = logOf(9);
    expect(log.opened('second')).toBeNull();
    expect(log.incarnation).toBe('second');
    enter(log, change(OP.WRITE, 0, 1));
    enter(log, change(OP.WRITE, 100, 1));
    const replay = log.opened('third')!;
    nextPiece(replay);
    nextPiece(replay);
    expect([replay.hasNext, log.incarnation]).toEqual([false, 'second']);
    expect([log.replayed(replay), log.incarnation]).toEqual([false, 'second']);
    expect([log.replayed(replay), log.incarnation]).toEqual([true, 'third']);
    expect(log.opened('third')).toBeNull();
    expect(log.dataBytes).toBe(2 * SECTOR_BYTES);
  });

  test('answers of an interrupted replay count for nothing', () => {
    const log = logOf(9);
    enter(log, change(OP.WRITE, 0, 1));
    const interrupted = log.opened('second')!;
    nextPiece(interrupted);
    const next = log.opened('second')!;
    expect([log.replayed(interrupted), log.incarnation]).toEqual([false, 'first']);
    nextPiece(next);
    expect([log.replayed(next), log.incarnation]).toEqual([true, 'second']);
  });

  test('nothing is left after another client has taken the volume', () => {
    const log = logOf(9);
    enter(log, change(OP.WRITE, 0, 9));
    enter(log, change(OP.DISCARD, 20, 9));
    log.clear();
    expect([log.isEmpty, log.usedBytes, log.opened('second')]).toEqual([true, 0, null]);
  });
});

test('memory is taken in slabs, which are reused', () => {
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
    // This order scatters the blocks over the slabs.
    for (let at = 0; at < 256; at++) enter(log, change(OP.WRITE, ((at * 37) % 256) * 8, 8, { id: 1 + round }));
    expect(log.reserve(change(OP.WRITE, 4096, 1))).toBe('flush');
    log.flushed(log.flushSent(), 0);
  }
  expect(made).toBe(4);
});
