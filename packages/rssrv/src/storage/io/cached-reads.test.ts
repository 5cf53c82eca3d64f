// Tests reads without waiting, with a fake system call that gives every result. Only complete data counts as an answer, "not supported"
// ends reads without waiting for this file, and every other result leaves the read to the thread pool. Further tests use FileBackend, which
// repeats reads in the thread pool and reports errors. nowait-read.test.ts tests the system call.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { promised, servedVolume, temporaryDirectory, testPorts } from '../../testing/backend-scene.ts';
import { openBackend } from '../open-backend.ts';
import { WOULD_WAIT } from './backend.ts';
import { CachedReads, NOT_SUPPORTED } from './cached-reads.ts';
import { InlinePolicy } from './inline-policy.ts';
import { CALLS_BEHIND_TRIES_MAX, SLOW_CALL_US, STORAGE_SILENT_MS } from '../limits.ts';

const { EAGAIN, EINTR, EINVAL, EIO, EBADF, ENOSYS, EOPNOTSUPP, EPERM } = os.constants.errno;
const LENGTH = 4096;
const directory = temporaryDirectory();
afterAll(() => removeFolder(directory));

let clock: FakeClock;
let result: number;
let calls: number[];
let pooled: number;
let reads: CachedReads;
const target = Buffer.alloc(LENGTH);

beforeEach(() => {
  clock = new FakeClock();
  result = LENGTH;
  calls = [];
  pooled = 0;
  reads = new CachedReads(standIn, new InlinePolicy(clock, 'sync', () => 0), () => pooled);
});

function standIn(_fd: number, _target: Buffer, _offset: number, lengthBytes: number, positionBytes: number): number {
  calls.push(positionBytes);
  return Math.min(result, lengthBytes);
}

const tryIt = (): number => reads.tryRead(3, target, 0, LENGTH, 0);

test.each([
  ['all data', LENGTH, STATUS.OK],
  ['a part', LENGTH - 512, WOULD_WAIT],
  ['nothing, as at the end of the file', 0, WOULD_WAIT],
  ['EAGAIN', -EAGAIN, WOULD_WAIT],
  ['EINTR', -EINTR, WOULD_WAIT],
  ['EIO', -EIO, WOULD_WAIT],
  ['EBADF', -EBADF, WOULD_WAIT],
  ['EINVAL', -EINVAL, WOULD_WAIT],
  ['EOPNOTSUPP', -EOPNOTSUPP, NOT_SUPPORTED],
  ['ENOSYS', -ENOSYS, NOT_SUPPORTED],
  ['EPERM of a filter of system calls', -EPERM, NOT_SUPPORTED],
])('%s', (_name, answer, expected) => {
  result = answer;
  expect(tryIt()).toBe(expected);
  expect(calls).toEqual([0]);
});

test('pieces follow each other in the file, and the first that is not whole ends the read', () => {
  const pieces = [512, 1024, 2048].map((length) => Buffer.alloc(length));
  expect(reads.tryReadPieces(3, pieces, 8192)).toBe(STATUS.OK);
  expect(calls).toEqual([8192, 8704, 9728]);
  result = 512;
  expect(reads.tryReadPieces(3, pieces, 0)).toBe(WOULD_WAIT);
  expect(calls.slice(3)).toEqual([0, 512]);
});

test('no call is made while calls in the pool hang, and calls are made again once one has ended', () => {
  reads.poolBegan();
  clock.advance(STORAGE_SILENT_MS);
  expect([tryIt(), calls]).toEqual([WOULD_WAIT, []]);
  reads.poolEnded();
  expect(tryIt()).toBe(STATUS.OK);
});

test('no call is made while many calls are in the pool', () => {
  pooled = CALLS_BEHIND_TRIES_MAX - 1;
  expect(tryIt()).toBe(STATUS.OK);
  pooled++;
  expect([tryIt(), calls.length]).toEqual([WOULD_WAIT, 1]);
  pooled--;
  expect(tryIt()).toBe(STATUS.OK);
});

test('calls that wait in spite of their flag send the next reads to the pool', () => {
  reads = new CachedReads(
    () => {
      clock.advance((10 * SLOW_CALL_US) / 1000);
      return LENGTH;
    },
    new InlinePolicy(clock, 'sync', () => 0),
    () => pooled,
  );
  expect([tryIt(), tryIt(), tryIt()]).toEqual([STATUS.OK, STATUS.OK, WOULD_WAIT]);
});

let files = 0;

/** Makes a volume whose bytes are all 7. The test sets the result of the reads without waiting. */
async function served(sizeBytes = 8192) {
  const file = path.join(directory, `f${++files}`);
  fs.writeFileSync(file, Buffer.alloc(sizeBytes, 7));
  const guessed: string[] = [];
  const ports = { ...testPorts(), clock, nowait: standIn, onGuess: (at: string) => guessed.push(at) };
  const backend = await openBackend(servedVolume({ path: file, sizeBytes }), ports);
  return { file, guessed, ports, backend, io: promised(backend) };
}

test.each([
  ['would wait', -EAGAIN],
  ['got a part', 512],
  ['was interrupted', -EINTR],
  ['failed', -EIO],
])('a read that %s gets all its data in the pool, and reports nothing', async (_name, answer) => {
  const { guessed, ports, backend, io } = await served();
  result = answer;
  expect(backend.tryRead(target, 0, LENGTH, LENGTH)).toBe(WOULD_WAIT);
  target.fill(1);
  expect(await io.read(target, 0, LENGTH, LENGTH)).toBe(STATUS.OK);
  expect(target.equals(Buffer.alloc(LENGTH, 7))).toBe(true);
  result = LENGTH;
  expect(backend.tryRead(target, 0, LENGTH, 0)).toBe(STATUS.OK);
  expect([ports.errors, guessed, calls]).toEqual([[], [], [LENGTH, 0]]);
  await backend.close();
});

test('reads that wait for a thread count as reads in the pool', async () => {
  const { backend } = await served();
  result = -EAGAIN;
  const ends: number[] = [];
  const buffers = Array.from({ length: CALLS_BEHIND_TRIES_MAX }, () => Buffer.alloc(LENGTH));
  // No call in the pool can end during this event-loop turn.
  for (const buffer of buffers) {
    expect(backend.tryRead(buffer, 0, LENGTH, 0)).toBe(WOULD_WAIT);
    backend.read(buffer, 0, LENGTH, 0, (status) => ends.push(status));
  }
  result = LENGTH;
  expect([backend.tryRead(target, 0, LENGTH, 0), calls.length]).toEqual([WOULD_WAIT, CALLS_BEHIND_TRIES_MAX]);
  await expect.poll(() => ends.length).toBe(CALLS_BEHIND_TRIES_MAX);
  expect(new Set(ends)).toEqual(new Set([STATUS.OK]));
  expect(backend.tryRead(target, 0, LENGTH, 0)).toBe(STATUS.OK);
  await backend.close();
});

test('a file system that refuses such reads is asked once, and the time of reads decides from then on', async () => {
  const { file, guessed, backend } = await served();
  result = -EOPNOTSUPP;
  for (let read = 0; read < 3; read++) {
    target.fill(1);
    expect(backend.tryRead(target, 0, LENGTH, 0)).toBe(STATUS.OK);
    expect(target.equals(Buffer.alloc(LENGTH, 7))).toBe(true);
  }
  expect([calls, guessed]).toEqual([[0], [file]]);
  await backend.close();
});

test('a truncated file is found by the pool, and asked no more on the event loop', async () => {
  const { file, ports, backend, io } = await served();
  fs.truncateSync(file, 1000);
  result = 0;
  expect(backend.tryRead(target, 0, LENGTH, LENGTH)).toBe(WOULD_WAIT);
  expect(await io.read(target, 0, LENGTH, LENGTH)).toBe(STATUS.VOLUME_UNAVAILABLE);
  result = LENGTH;
  expect(backend.tryRead(target, 0, LENGTH, 0)).toBe(WOULD_WAIT);
  expect([ports.errors, calls]).toEqual([['read SHORT_READ'], [LENGTH]]);
  await backend.close();
});

test('storage in memory is read as before', async () => {
  const file = path.join(directory, `f${++files}`);
  fs.writeFileSync(file, Buffer.alloc(LENGTH, 7));
  const backend = await openBackend(servedVolume({ type: 'memory', path: file, sizeBytes: LENGTH }), { ...testPorts(), nowait: standIn });
  expect(backend.tryRead(target, 0, LENGTH, 0)).toBe(STATUS.OK);
  expect(calls).toEqual([]);
  await backend.close();
});
