// Tests that the counts of the netlab's load are exact, and that the load detects errors. A small store in this file takes the place of the
// server, and the clock is a test clock. Runs of a netlab show that real replies are parsed correctly, because the load verifies its reads.

import { expect, it } from 'vitest';
import { Latencies } from './latencies.ts';
import { type LoadShape, NbdLoad, REQUEST_BYTES, STAMP_BYTES } from './nbd-load.ts';
import { goodputBytes, shaper } from '../shaper.ts';

const BLOCK = 4096;
const REPLY_MAGIC = 0x67446698;

interface Asked {
  readonly lane: number;
  readonly bytes: Buffer;
}

/** A server in memory that answers a request when the test says so. */
class Store {
  nowMs = 1_000;
  readonly asked: Asked[] = [];
  readonly load: NbdLoad;
  private readonly blocks = new Map<number, Buffer>();

  constructor(shape: Partial<LoadShape> = {}) {
    const whole = { blockBytes: BLOCK, depth: 2, order: 'random', readPercent: 50, sizeBytes: 8 * BLOCK, ...shape } as const;
    this.load = new NbdLoad(
      whole,
      (lane, bytes) => this.asked.push({ lane, bytes }),
      () => this.nowMs,
    );
    this.load.begin();
  }

  /**
   * Answers the oldest request. `spoil` may change the answer. If `keep` is false, the store acknowledges a write but does not keep its
   * data.
   */
  answer(spoil: (stamps: Buffer) => number = () => 0, keep = true): void {
    const { bytes } = this.asked.shift() as Asked;
    const offset = Number(bytes.readBigUInt64BE(16));
    const isWrite = bytes.readUInt32BE(4) === 1;
    const data = isWrite ? Buffer.from(bytes.subarray(REQUEST_BYTES)) : (this.blocks.get(offset) ?? Buffer.alloc(BLOCK));
    const stamps = Buffer.concat([data.subarray(0, STAMP_BYTES), data.subarray(-STAMP_BYTES)]);
    const errno = spoil(stamps);
    if (isWrite && errno === 0 && keep) this.blocks.set(offset, data);
    this.load.answered({ magic: REPLY_MAGIC, errno, cookie: bytes.readUInt32BE(12) }, stamps);
  }

  isRead(): boolean {
    return this.asked[0]?.bytes.readUInt32BE(4) === 0;
  }
}

it('a store that keeps its writes gives no error', () => {
  const store = new Store();
  for (let request = 0; request < 1_000; request++) store.answer();
  expect(store.load.take()).toMatchObject({ done: 1_000, bytes: 1_000 * BLOCK, errors: 0, firstError: null });
});

it.each([0, 7, 8, 15])('a stamp that differs in byte %i is detected', (byte) => {
  const store = new Store();
  for (let request = 0; request < 200; request++) store.answer();
  while (!store.isRead()) store.answer();
  store.answer((stamps) => {
    stamps.writeUInt8((stamps.readUInt8(byte) + 1) % 256, byte);
    return 0;
  });
  expect(store.load.take().firstError).toMatch(/read back as block/);
});

it('an acknowledged write that is missing is detected', () => {
  const store = new Store();
  for (let request = 0; request < 200; request++) store.answer();
  while (store.isRead()) store.answer();
  store.answer(() => 0, false);
  // Many requests are needed: each of the few blocks is soon read again, but a block with a lost write may be written again first.
  for (let request = 0; request < 200; request++) {
    while (!store.isRead()) store.answer(() => 0, false);
    store.answer();
  }
  expect(store.load.take().firstError).toMatch(/read back as block/);
});

it('an errno is counted, and its block may contain anything afterwards', () => {
  const store = new Store({ readPercent: 0 });
  store.answer(() => 5);
  expect(store.load.take()).toMatchObject({ errors: 1, firstError: expect.stringMatching(/^Errno 5 for a write of block \d$/) as unknown });
});

it('the longest gap and the slowest request are exact, including requests that still wait', () => {
  const store = new Store();
  store.load.take();
  store.nowMs += 30;
  store.answer();
  store.nowMs += 45;
  store.answer();
  expect(store.load.take()).toMatchObject({ longestGapMs: 45, worstMs: 75 });
  store.nowMs += 500;
  expect(store.load.take()).toMatchObject({ longestGapMs: 500, worstMs: 545, waitingMs: 545, done: 0 });
});

it('no block has two requests in flight, and the end waits for the last answer', async () => {
  const store = new Store({ depth: 4 });
  for (let request = 0; request < 500; request++) {
    const offsets = store.asked.map(({ bytes }) => bytes.readBigUInt64BE(16));
    expect(new Set(offsets).size).toBe(4);
    store.answer();
  }
  let isOver = false;
  const ended = store.load.end().then(() => {
    isOver = true;
  });
  for (let left = 4; left > 0; left--) {
    await Promise.resolve();
    expect(isOver).toBe(false);
    store.answer();
  }
  await ended;
  expect(store.asked).toEqual([]);
});

it('quantiles are within one step of the exact value', () => {
  const latencies = new Latencies();
  for (let ms = 1; ms <= 1_000; ms++) latencies.add(ms);
  for (const [share, ms] of [
    [0.5, 500],
    [0.99, 990],
  ] as const) {
    expect(latencies.quantile(share)).toBeGreaterThanOrEqual(ms);
    expect(latencies.quantile(share)).toBeLessThan(ms * 1.05);
  }
});

it('a link of 1 Gbit/s carries 117 MB/s of data, and is shaped as tc counts bytes', () => {
  expect(goodputBytes(1e9) / 1e6).toBeCloseTo(117.7, 1);
  expect(shaper(1e9)).toContain('984395319bit');
});
