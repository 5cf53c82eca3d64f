// Compares the replay log with a naive model (a map from sectors to content), and runs it against a model of a server with a cache and a
// disk. After any order of answers, flushes, losses and replays, every sector has its last acknowledged content. Rules: L1 to L3, G5.

import { expectAtMost, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assert } from '@rsio/base/lib/assert';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { BLOCK_COST, change, contents, HOLE, MARGIN, nextPiece } from '../../testing/replay-requests.ts';
import { FLAG, OP } from '../../wire/frames.ts';
import { SlabPool } from './replay-blocks.ts';
import { ReplayLog } from './replay-log.ts';
import type { Request } from '../requests/request.ts';

const SECTORS = 48;

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

/** A replay log, a model of its server, and a user that submits changes. */
class World {
  readonly log: ReplayLog;
  private readonly inFlight: Change[] = [];
  private flushes: Flush[] = [];
  private readonly cache = new Array<number>(SECTORS).fill(HOLE);
  private readonly disk = new Array<number>(SECTORS).fill(HOLE);
  private readonly acknowledged = new Array<number>(SECTORS).fill(HOLE);
  /**
   * Expected content of the log. Maps each sector to its value, and to the number of changes that had been answered when it got this value.
   */
  private readonly expected = new Map<number, { value: number; answered: number }>();
  private ids = 0;
  private answered = 0;
  private incarnation = 1;

  constructor(blocks: number) {
    this.log = new ReplayLog(MARGIN + blocks * BLOCK_COST, new SlabPool(2), null);
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
    // Overwrite the buffer, because its owner may reuse it after the answer.
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

  /**
   * Ends the session. If `isNewIncarnation`, the storage also loses everything that was not on disk. Performs the recoveries in
   * `interruptions`, each of which is interrupted, and finally a complete recovery.
   */
  crash(
    isNewIncarnation: boolean,
    interruptions: readonly { executed: number; answered: number; isNewIncarnation: boolean; kept: number[] }[],
  ): void {
    const late = this.flushes.splice(0);
    this.beginLife(isNewIncarnation);
    for (const { executed, answered, isNewIncarnation: next, kept } of interruptions) {
      const replay = this.log.opened(String(this.incarnation));
      const pieces: Request[] = [];
      while (replay?.hasNext === true) pieces.push(nextPiece(replay));
      pieces.slice(0, executed + answered).forEach((piece) => this.executePiece(piece));
      pieces.slice(0, answered).forEach(() => this.log.replayed(replay!));
      for (const sector of kept) this.writeBack(sector);
      this.beginLife(next);
    }
    this.recover();
    // A FLUSH sent in a lost session covers nothing, however late it is answered.
    for (const { mark } of late) this.log.flushed(mark, 0);
  }

  check(): void {
    const { log } = this;
    const values = [...this.expected.values()].map(({ value }) => value);
    expectSame(log.dataBytes, values.filter((value) => value > 0).length * SECTOR_BYTES);
    expectSame(log.rangeBytes, values.filter((value) => value <= 0).length * SECTOR_BYTES);
    expectAtMost(log.usedBytes + log.reservedBytes, log.sizeBytes);
    expectSame(log.isEmpty, this.expected.size === 0);
  }

  private beginLife(isNew: boolean): void {
    for (const one of this.inFlight) one.isExecuted = false;
    if (!isNew) return;
    this.incarnation++;
    this.disk.forEach((value, sector) => {
      this.cache[sector] = value;
    });
  }

  private recover(): void {
    const replay = this.log.opened(String(this.incarnation));
    const replayed = new Map<number, number>();
    while (replay?.hasNext === true) {
      const piece = nextPiece(replay);
      for (const [sector, value] of contents(piece)) {
        expectSame(replayed.has(sector), false);
        replayed.set(sector, value);
      }
      this.executePiece(piece);
      expectSame(this.log.replayed(replay), !replay.hasNext);
    }
    if (replay !== null) expect(replayed).toEqual(new Map([...this.expected].map(([sector, { value }]) => [sector, value])));
    expectSame(this.log.incarnation, String(this.incarnation));
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
        isNewIncarnation: fc.integer({ min: 0, max: 3 }).map((one) => one > 0),
        interruptions: fc.array(
          fc.record({
            executed: fc.nat(4),
            answered: fc.nat(4),
            isNewIncarnation: fc.boolean(),
            kept: fc.array(fc.nat(SECTORS - 1), { maxLength: 8 }),
          }),
          { maxLength: 2 },
        ),
      })
      .map(({ isNewIncarnation, interruptions }) => ({
        do: (world: World) => world.crash(isNewIncarnation, interruptions),
        name: 'crash',
      })),
  },
);

test('after every recovery each sector holds its last acknowledged content, and the log equals the naive model', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 12 }), (steps, blocks) => {
      const world = new World(blocks);
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
