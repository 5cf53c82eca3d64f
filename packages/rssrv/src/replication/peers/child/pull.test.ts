// Tests one pull with a source and a file in memory: contents, the limit of bandwidth, patience, failures and cancellation. The choice of
// the steps is tested in pull-plan.test.ts, and real servers in test/integration/peers.test.ts.

import { createHash } from 'node:crypto';
import { MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, describe, expect, test } from 'vitest';
import { PULL_COMPARE_BYTES, PULL_PATIENCE_MS, PULL_PIECE_BYTES, PULL_SILENT_MS, PULL_SUM_BYTES, PULL_WINDOW_BYTES } from '../../limits.ts';
import type { PullOrder } from '../messages.ts';
import type { PullProgress } from '../peers.ts';
import { type PullSource, SnapshotPull, type SourceEvents } from './pull.ts';

const SIZE = 8 * PULL_PIECE_BYTES;
const SECTORS = SIZE / 512;

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

/** Lets the promises of the pull go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** The byte with which each part of the snapshot is filled. */
function valueAt(offsetBytes: number): number {
  return 1 + Math.floor(offsetBytes / PULL_PIECE_BYTES);
}

class Source implements PullSource {
  isHalted = false;
  reason = 'Peer oslo-1 is not connected';
  isClosed = false;
  events: SourceEvents | null = null;
  /** Requests that are not answered. */
  readonly waiting: (() => void)[] = [];
  answersReads = true;
  extentsAnswer: readonly number[] | null | RsError = [SECTORS / 2, 0, SECTORS / 2, 1];
  changesAnswer: readonly number[] | RsError = [SECTORS, 1];
  canSum = true;
  /** Lengths of the ranges for which sums were asked. */
  readonly asked: number[] = [];
  readBytes = 0;
  reading = 0;
  mostReading = 0;

  open(events: SourceEvents): void {
    this.events = events;
  }

  read(buffer: Buffer, offsetBytes: number, lengthBytes: number, done: (error: RsError | null) => void): void {
    this.reading += lengthBytes;
    this.readBytes += lengthBytes;
    this.mostReading = Math.max(this.mostReading, this.reading);
    const answer = (): void => {
      this.reading -= lengthBytes;
      buffer.fill(valueAt(offsetBytes), 0, lengthBytes);
      done(null);
    };
    if (this.answersReads) clock.soon(answer);
    else this.waiting.push(answer);
  }

  changes(_since: string, _offsetBytes: number, _lengthBytes: number, done: (pairs: readonly number[] | RsError) => void): void {
    clock.soon(() => done(this.changesAnswer));
  }

  extents(_offsetBytes: number, _lengthBytes: number, done: (pairs: readonly number[] | null | RsError) => void): void {
    clock.soon(() => done(this.extentsAnswer));
  }

  sums(offsetBytes: number, lengthBytes: number, pieceBytes: number, done: (sums: Buffer | null | RsError) => void): void {
    const sums: Buffer[] = [];
    for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += pieceBytes)
      sums.push(
        createHash('sha256')
          .update(Buffer.alloc(pieceBytes, valueAt(at)))
          .digest()
          .subarray(0, MIRROR_SUM_BYTES),
      );
    this.asked.push(lengthBytes);
    clock.soon(() => done(this.canSum ? Buffer.concat(sums) : null));
  }

  close(): void {
    this.isClosed = true;
  }
}

class MemoryFile {
  readonly content = Buffer.alloc(SIZE, 0xff);
  steps = 0;
  isClosed = false;
  failure: RsError | null = null;
  /** Set while writes wait. */
  gate: Promise<void> = Promise.resolve();

  async read(buffer: Buffer, lengthBytes: number, offsetBytes: number): Promise<void> {
    await Promise.resolve();
    this.content.copy(buffer, 0, offsetBytes, offsetBytes + lengthBytes);
  }

  async write(buffer: Buffer, lengthBytes: number, offsetBytes: number): Promise<void> {
    this.steps++;
    await this.gate;
    expect(this.isClosed).toBe(false);
    if (this.failure !== null) throw this.failure;
    buffer.copy(this.content, offsetBytes, 0, lengthBytes);
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    await Promise.resolve();
    this.content.fill(0, offsetBytes, offsetBytes + lengthBytes);
  }

  async sync(): Promise<void> {
    await Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.resolve();
    this.isClosed = true;
  }
}

function scene(changes: Partial<PullOrder> = {}) {
  const order: PullOrder = {
    volume: { name: 'db', universe: 0 },
    snapshot: { name: 's1', id: 'i1' },
    since: 'i0',
    isCompared: false,
    file: '/f',
    sizeBytes: SIZE,
    fromBytes: 0,
    limitBytes: null,
    ...changes,
  };
  const [source, file] = [new Source(), new MemoryFile()];
  const progress: PullProgress[] = [];
  const ends: (RsError | null)[] = [];
  const pull = new SnapshotPull(order, source, file, clock, { progress: (one) => progress.push(one), ended: (error) => ends.push(error) });
  pull.start();
  const open = async (): Promise<void> => {
    source.events?.opened(512);
    await run(0);
  };
  return { source, file, progress, ends, pull, open };
}

async function run(ms: number): Promise<void> {
  for (let turn = 0; turn < 60; turn++) {
    await settle();
    clock.advance(0);
  }
  if (ms === 0) return;
  clock.advance(ms);
  await run(0);
}

const expected = Buffer.concat([
  ...[1, 2, 3, 4].map((number) => Buffer.alloc(PULL_PIECE_BYTES, number)),
  Buffer.alloc(SIZE - 4 * PULL_PIECE_BYTES),
]);

describe('a pull', () => {
  test('ends with the content and the last position', async () => {
    const { file, ends, progress, open, source } = scene();
    await open();
    expect(ends).toEqual([null]);
    expect(file.content.equals(expected)).toBe(true);
    expect(progress.at(-1)).toEqual({ positionBytes: SIZE, doneBytes: SIZE / 2, totalBytes: SIZE / 2 });
    expect([source.isClosed, file.isClosed, clock.timersPending]).toEqual([true, true, 0]);
  });

  test('takes all for data if the peer cannot tell', async () => {
    const { source, progress, open } = scene();
    source.extentsAnswer = null;
    await open();
    expect(progress.at(-1)?.totalBytes).toBe(SIZE);
  });

  test('compares a file of any content, reads only what differs, and makes the holes', async () => {
    const { source, file, ends, progress, open } = scene({ since: null, isCompared: true });
    expected.copy(file.content, 0, 0, SIZE / 2);
    file.content.fill(0xee, PULL_SUM_BYTES, 2 * PULL_SUM_BYTES);
    file.content.fill(0xee, 3 * PULL_PIECE_BYTES, 3 * PULL_PIECE_BYTES + 1);
    await open();
    expect(ends).toEqual([null]);
    expect(file.content.equals(expected)).toBe(true);
    expect([source.readBytes, source.asked]).toEqual([2 * PULL_SUM_BYTES, [PULL_COMPARE_BYTES]]);
    expect(progress.at(-1)).toEqual({ positionBytes: SIZE, doneBytes: SIZE / 2, totalBytes: SIZE / 2 });
  });

  test('reads all if the peer cannot compute sums', async () => {
    const { source, file, ends, open } = scene({ since: null, isCompared: true });
    source.canSum = false;
    await open();
    expect([ends, source.readBytes, file.content.equals(expected)]).toEqual([[null], SIZE / 2, true]);
  });

  test('keeps the window', async () => {
    const sizeBytes = 4 * PULL_WINDOW_BYTES;
    const { source, open } = scene({ sizeBytes, since: null });
    source.extentsAnswer = [sizeBytes / 512, 0];
    source.answersReads = false;
    await open();
    expect(source.mostReading).toBe(PULL_WINDOW_BYTES);
  });

  test('keeps the limit of bandwidth', async () => {
    const { source, ends, open } = scene({ limitBytes: PULL_PIECE_BYTES });
    source.extentsAnswer = [SECTORS, 0];
    await open();
    for (let second = 0; second < 7; second++) {
      expect(ends).toEqual([]);
      await run(1_000);
    }
    await run(1_000);
    expect(ends).toEqual([null]);
  });

  test('keeps the limit of bandwidth for what differs, and waits for it as long as that takes', async () => {
    const { source, ends, file, open } = scene({ since: null, isCompared: true, limitBytes: PULL_PIECE_BYTES / 200 });
    source.extentsAnswer = [SECTORS / 4, 0, (SECTORS * 3) / 4, 1];
    await open();
    expect(source.readBytes).toBe(PULL_PIECE_BYTES);
    await run(199_000);
    expect([source.readBytes, ends]).toEqual([PULL_PIECE_BYTES, []]);
    await run(2_000);
    expect([source.readBytes, ends]).toEqual([2 * PULL_PIECE_BYTES, [null]]);
    expect(file.content.subarray(0, SIZE / 4).equals(expected.subarray(0, SIZE / 4))).toBe(true);
  });

  test('fails if it can send nothing for long, even before the snapshot is open', async () => {
    const { source, ends } = scene();
    source.isHalted = true;
    await run(PULL_PATIENCE_MS - 1_000);
    expect(ends).toEqual([]);
    await run(1_500);
    expect(ends).toMatchObject([{ code: 'E_UNREACHABLE', message: expect.stringContaining('Peer oslo-1 is not connected; waited 30s') }]);
  });

  test('goes on after an interruption, and fails if nothing is answered', async () => {
    const { source, ends, open } = scene();
    source.answersReads = false;
    await open();
    source.isHalted = true;
    await run(PULL_PATIENCE_MS - 1_000);
    source.isHalted = false;
    await run(PULL_PATIENCE_MS);
    source.isHalted = true;
    await run(PULL_PATIENCE_MS - 1_000);
    source.isHalted = false;
    expect(ends).toEqual([]);
    await run(PULL_SILENT_MS);
    expect(ends).toMatchObject([{ code: 'E_TIMEOUT' }]);
    // Late answers change nothing.
    for (const answer of source.waiting) answer();
    await run(0);
    expect(ends).toHaveLength(1);
  });

  test.each([
    ['changes', new RsError('E_UNKNOWN_SNAPSHOT', 'gone')],
    ['extents', new RsError('E_PROTOCOL', 'wrong')],
  ] as const)('ends with the error of %s', async (kind, error) => {
    const { source, ends, open } = scene();
    source[`${kind}Answer`] = error;
    await open();
    expect(ends).toEqual([error]);
  });

  test('ends with the error of the file', async () => {
    const { file, ends, open } = scene();
    file.failure = new RsError('E_SPACE', 'full');
    await open();
    expect(ends).toEqual([file.failure]);
    expect(file.isClosed).toBe(true);
  });

  test('is cancelled only when no write is in progress any more', async () => {
    const { file, ends, open, pull, source } = scene();
    let release: () => void = () => undefined;
    file.gate = new Promise((resolve) => (release = resolve));
    await open();
    expect(file.steps).toBe(4);
    pull.end(new RsError('E_RESET', 'cancelled'));
    await run(0);
    expect([ends, source.isClosed]).toEqual([[], true]);
    release();
    await run(0);
    expect(ends).toMatchObject([{ code: 'E_RESET' }]);
    expect(file.isClosed).toBe(true);
  });
});
