// Tests READs that fail in the storage while an image exists: READs that the image answers, READs that keep their error, and images that
// hang. The storage is a stand-in, and the file of the image is real. bridges.test.ts tests which file may answer. Rules: G32.

import fs from 'node:fs';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Backend, WOULD_WAIT } from '../../storage/io/backend.ts';
import { ThreadShares } from '../../storage/io/thread-shares.ts';
import { promised, temporaryDirectory } from '../../testing/backend-scene.ts';
import { BridgedBackend, type BridgedBackendPorts } from './bridged-backend.ts';
import { BRIDGE_READ_MAX_MS, BRIDGE_WAIT_MAX_MS, BRIDGES_WAITING_MAX } from '../limits.ts';

let directory = '';
let file = '';
let clock: FakeClock;

beforeEach(() => {
  directory = temporaryDirectory();
  file = path.join(directory, 'base');
  fs.writeFileSync(file, Buffer.alloc(8_192, 7));
  clock = new FakeClock();
});
afterEach(() => removeFolder(directory));

interface Opened {
  readonly backend: BridgedBackend;
  readonly asked: number[];
  answered: number;
}

function opened(status: Status, changes: Partial<BridgedBackendPorts> = {}): Opened {
  const storage: Partial<Backend> = {
    tryRead: () => status,
    read: (_target, _offset, _lengthBytes, _positionBytes, done) => void setImmediate(done, status),
    close: () => Promise.resolve(),
  };
  const asked: number[] = [];
  const backend = new BridgedBackend(storage as Backend, {
    clock,
    threads: new ThreadShares(1),
    fileFor: async (positionBytes) => {
      asked.push(positionBytes);
      return fs.openSync(file, 'r');
    },
    answered: () => void one.answered++,
    ...changes,
  });
  const one: Opened = { backend, asked, answered: 0 };
  return one;
}

test('a READ that fails gets the data of the image, at its place in the buffer', async () => {
  const one = opened(STATUS.IO_ERROR);
  const target = Buffer.alloc(4_096);
  expect(one.backend.tryRead(target, 0, 512, 0)).toBe(WOULD_WAIT);
  expect(await promised(one.backend).read(target, 512, 1_024, 4_096)).toBe(STATUS.OK);
  expect([...target.subarray(511, 513), ...target.subarray(1_535, 1_537)]).toEqual([0, 7, 7, 0]);
  expect([one.asked, one.answered]).toEqual([[4_096], 1]);
  await one.backend.close();
});

test('no image is asked if the storage can read, or fails in another way', async () => {
  for (const status of [STATUS.OK, STATUS.VOLUME_UNAVAILABLE, STATUS.OUT_OF_MEMORY]) {
    const one = opened(status);
    expect(one.backend.tryRead(Buffer.alloc(512), 0, 512, 0)).toBe(status);
    expect(await promised(one.backend).read(Buffer.alloc(512), 0, 512, 0)).toBe(status);
    expect(one.asked).toEqual([]);
  }
});

test('the error stays if there is no image, the listener does not answer, or the image is too short', async () => {
  const fileFor: BridgedBackendPorts['fileFor'][] = [
    () => Promise.resolve(null),
    () => Promise.reject(new Error('ended')),
    async () => fs.openSync(file, 'r'),
  ];
  for (const one of fileFor.map((each) => opened(STATUS.IO_ERROR, { fileFor: each }))) {
    expect(await promised(one.backend).read(Buffer.alloc(512), 0, 512, 8_192)).toBe(STATUS.IO_ERROR);
    expect(one.answered).toBe(0);
  }
});

test('one READ is looked at, a bounded number waits, and what has waited too long gets its error', async () => {
  let answer: (descriptor: number | null) => void = () => undefined;
  const one = opened(STATUS.IO_ERROR, { fileFor: () => new Promise((resolve) => (answer = resolve)) });
  const { read } = promised(one.backend);
  const first = read(Buffer.alloc(512), 0, 512, 0);
  const others = Array.from({ length: BRIDGES_WAITING_MAX }, () => read(Buffer.alloc(512), 0, 512, 0));
  expect(await read(Buffer.alloc(512), 0, 512, 0)).toBe(STATUS.IO_ERROR);
  const closed = one.backend.close();
  clock.advance(BRIDGE_WAIT_MAX_MS + 1);
  answer(fs.openSync(file, 'r'));
  expect(await first).toBe(STATUS.OK);
  expect(new Set(await Promise.all(others))).toEqual(new Set([STATUS.IO_ERROR]));
  await closed;
});

test('an image that hangs delays a READ for a bounded time, and what it gives later reaches no buffer', async () => {
  // With no free thread, the read of the image does not begin in time.
  const threads = new ThreadShares(1);
  let free: () => void = () => undefined;
  threads.enter('another').run((ended) => (free = ended));
  const one = opened(STATUS.IO_ERROR, { threads });
  const target = Buffer.alloc(512);
  const first = promised(one.backend).read(target, 0, 512, 0);
  while (clock.timersPending === 0) await new Promise(setImmediate);
  clock.advance(BRIDGE_READ_MAX_MS);
  expect(await first).toBe(STATUS.IO_ERROR);
  expect(await promised(one.backend).read(target, 0, 512, 0)).toBe(STATUS.IO_ERROR);
  expect(one.asked).toEqual([0]);
  free();
  expect(target.every((byte) => byte === 0)).toBe(true);
  expect(await promised(one.backend).read(target, 0, 512, 0)).toBe(STATUS.OK);
  await one.backend.close();
});
