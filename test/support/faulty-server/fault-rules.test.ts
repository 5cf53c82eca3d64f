// Tests each kind of fault with a test clock and test files: which operations a fault affects, when and with which result an operation is
// answered, and that each operation is answered once. rssrvcfg-volumes.test.ts tests the grammar of the rules.

import type { DelayRule, ErrorRule } from './volume-faults.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { TEST_PAUSE_POLL_MS } from './limits.ts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { beforeEach, expect, test } from 'vitest';
import { NullBackend } from '@rsio/rssrv/storage/null-backend';
import { promised } from '@rsio/rssrv/testing/backend-scene';
import { delay, failure, type Fault, type FaultOperation, pause, throttle } from './fault-rules.ts';
import { FaultyBackend } from './faulty-backend.ts';

let clock: FakeClock;
let files: Set<string>;
let chance = 0;
let passed: (string | null)[];

beforeEach(() => {
  clock = new FakeClock();
  files = new Set();
  passed = [];
});

const world = () => ({ clock, random: () => chance, isThere: (file: string) => files.has(file) });

function meet(fault: Fault, operation: FaultOperation, firstSector = 0, sectors = 1): void {
  const isFlush = operation === 'flush';
  fault(operation, isFlush ? 0 : firstSector * SECTOR_BYTES, isFlush ? 0 : sectors * SECTOR_BYTES, (errno) => passed.push(errno));
}

function slow(changes: Partial<DelayRule>): DelayRule {
  return { operation: 'any', minMs: 20, maxMs: 20, ...changes };
}

function broken(changes: Partial<ErrorRule>): ErrorRule {
  return { operation: 'any', errno: 'EIO', ...changes };
}

test('a delay holds back its own operations only, and only while its file exists', () => {
  const slowed = delay([slow({ operation: 'write', whileFile: '/slow' })], world());
  meet(slowed, 'write');
  expect(passed).toEqual([null]);
  files.add('/slow');
  meet(slowed, 'read');
  expect(passed).toEqual([null, null]);
  meet(slowed, 'write');
  clock.advance(19);
  expect(passed).toHaveLength(2);
  clock.advance(1);
  expect(passed).toEqual([null, null, null]);
});

test('a delay is drawn from its range, and several rules add up', () => {
  const slowed = delay([slow({ minMs: 10, maxMs: 50 }), slow({ operation: 'flush', minMs: 100, maxMs: 100 })], world());
  for (const [random, operation, ms] of [
    [0, 'read', 10],
    [0.5, 'read', 30],
    [0.5, 'flush', 130],
  ] as const) {
    chance = random;
    passed = [];
    meet(slowed, operation);
    clock.advance(ms - 1);
    expect(passed).toEqual([]);
    clock.advance(1);
    expect(passed).toEqual([null]);
  }
});

test('an error meets its operation in its sectors, every Nth time', () => {
  const failing = failure([broken({ operation: 'write', sectors: [8, 15], every: 2 })], world());
  meet(failing, 'read', 8);
  meet(failing, 'write', 0, 8);
  meet(failing, 'write', 16);
  expect(passed).toEqual([null, null, null]);
  passed = [];
  meet(failing, 'write', 0, 9);
  meet(failing, 'write', 15, 8);
  meet(failing, 'write', 8);
  meet(failing, 'write', 8);
  expect(passed).toEqual([null, 'EIO', null, 'EIO']);
});

test('after a failed flush no flush is answered OK, but other operations go on', () => {
  const failing = failure([broken({ operation: 'flush', errno: 'ENOSPC', whileFile: '/broken' })], world());
  files.add('/broken');
  meet(failing, 'flush');
  files.clear();
  meet(failing, 'flush');
  meet(failing, 'write');
  expect(passed).toEqual(['ENOSPC', 'ENOSPC', null]);
});

test('a pause stops all operations while its file exists, and then releases them all', () => {
  const paused = pause('/pause', world());
  files.add('/pause');
  for (const operation of ['read', 'write', 'flush', 'discard', 'zero'] as const) meet(paused, operation);
  clock.advance(60_000);
  expect(passed).toEqual([]);
  files.clear();
  clock.advance(TEST_PAUSE_POLL_MS);
  expect(passed).toEqual([null, null, null, null, null]);
});

test('a throttle limits the bytes of reads and writes together, and saves up no unused time', () => {
  const throttled = throttle(10 * SECTOR_BYTES, world());
  clock.advance(60_000);
  meet(throttled, 'write', 0, 5);
  meet(throttled, 'read', 0, 1);
  meet(throttled, 'flush');
  expect(passed).toEqual([null, null]);
  clock.advance(499);
  expect(passed).toHaveLength(2);
  clock.advance(1);
  expect(passed).toHaveLength(3);
  meet(throttled, 'read');
  clock.advance(100);
  expect(passed).toHaveLength(4);
});

test('a backend with faults: the first error is the result, it is logged once, and close waits for running operations', async () => {
  const errors: string[] = [];
  const paused = pause('/pause', world());
  const failing = failure([broken({ operation: 'write', errno: 'ENOSPC' })], world());
  const backend = new FaultyBackend(new NullBackend(1 << 20, false), [paused, failing], (operation, errno) =>
    errors.push(`${operation} ${errno}`),
  );
  const io = promised(backend);
  const target = Buffer.alloc(SECTOR_BYTES, 1);
  expect(await io.read(target, 0, SECTOR_BYTES, 0)).toBe(STATUS.OK);
  expect(target.every((byte) => byte === 0)).toBe(true);
  expect(await io.write(target, 0, SECTOR_BYTES, 0)).toBe(STATUS.NO_SPACE);
  expect(errors).toEqual(['write ENOSPC']);
  files.add('/pause');
  const ended: string[] = [];
  const flushed = io.flush().then((status: Status) => ended.push(`flush ${status}`));
  const closed = backend.close().then(() => ended.push('closed'));
  files.clear();
  clock.advance(TEST_PAUSE_POLL_MS);
  await Promise.all([flushed, closed]);
  expect(ended).toEqual([`flush ${STATUS.OK}`, 'closed']);
});
