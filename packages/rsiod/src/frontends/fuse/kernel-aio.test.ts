// Several reads and writes in one system call, with named pipes: transferred data, refused calls, and the bytes around each range. The file
// fuse-batch.test.ts tests the use by devices.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { type KernelAio, systemAio } from './kernel-aio.ts';

const { EAGAIN, EBADF } = os.constants.errno;
const CALLS = 8;

function aioOf(context: TestContext): KernelAio {
  const aio = systemAio(CALLS);
  context.skip(aio === null, 'needs asynchronous I/O of the kernel');
  if (aio === null) throw new Error('skipped');
  return aio;
}

function pipe(): number {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rsio-aio-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  expect(spawnSync('mkfifo', [path.join(folder, 'pipe')]).status).toBe(0);
  const fd = openSync(path.join(folder, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(fd));
  return fd;
}

it('writes and reads are executed in order, and only the given bytes are used', (context) => {
  const aio = aioOf(context);
  const fd = pipe();
  const source = Buffer.from('..one..two....three..');
  for (const [index, text] of ['one', 'two', 'three'].entries()) {
    const start = source.indexOf(text);
    aio.prepareWrite(index, fd, source, start, start + text.length);
  }
  expect([...aio.execute(3).subarray(0, 3)]).toEqual([3, 3, 5]);
  const target = Buffer.alloc(30, '-');
  for (let index = 0; index < 4; index++) aio.prepareRead(index, fd, target.subarray(1 + 7 * index, 5 + 7 * index));
  expect([...aio.execute(4).subarray(0, 4)]).toEqual([4, 4, 3, -EAGAIN]);
  expect(target.toString()).toBe('-onet---woth---ree------------');
});

it('a call that the kernel refuses keeps none of the others from being executed', (context) => {
  const aio = aioOf(context);
  const [first, second] = [pipe(), pipe()];
  const bytes = Buffer.from('abc');
  const descriptors = [first, -1, -1, second, first, -1];
  for (const [index, fd] of descriptors.entries()) aio.prepareWrite(index, fd, bytes, 0, 1 + (index % 3));
  expect([...aio.execute(6).subarray(0, 6)]).toEqual([1, -EBADF, -EBADF, 1, 2, -EBADF]);
  const target = Buffer.alloc(9);
  aio.prepareRead(0, first, target);
  aio.prepareRead(1, second, target.subarray(4));
  expect([...aio.execute(2).subarray(0, 2)]).toEqual([3, 1]);
  expect(target.toString('latin1', 0, 5)).toBe('aab\0a');
});

it('the results of thousands of calls are complete', (context) => {
  const aio = aioOf(context);
  const fd = pipe();
  const bytes = Buffer.alloc(64);
  let moved = 0;
  for (let round = 0; round < 1_000; round++) {
    for (let index = 0; index < CALLS; index++) {
      if (index % 2 === 0) aio.prepareWrite(index, fd, bytes, 0, index + 1);
      else aio.prepareRead(index, fd, bytes.subarray(0, index));
    }
    for (const result of aio.execute(CALLS)) moved += result;
  }
  expect(moved).toBe(1_000 * 2 * (1 + 3 + 5 + 7));
});

it('a range beyond its buffer, and a call beyond the maximum, end the process before the kernel sees them', (context) => {
  const aio = aioOf(context);
  const bytes = Buffer.alloc(8);
  expect(() => aio.prepareWrite(0, 0, bytes, 0, 9)).toThrow('beyond its bounds');
  expect(() => aio.prepareWrite(0, 0, bytes, 5, 4)).toThrow('beyond its bounds');
  expect(() => aio.prepareWrite(0, 0, bytes, Number.NaN, 4)).toThrow('beyond its bounds');
  expect(() => aio.prepareRead(CALLS, 0, bytes)).toThrow('beyond its bounds');
});
