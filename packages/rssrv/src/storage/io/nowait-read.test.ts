// Tests preadv2 with RWF_NOWAIT on real files: cached data is read completely, and written only into its range of the target, even at
// positions beyond 2^32. A read of uncached data is refused and never waits. The tests need koffi and a file system that supports this
// call. On other file systems, such as tmpfs, the tests are skipped.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, expect, type TestContext, test } from 'vitest';
import { temporaryDirectory } from '../../testing/backend-scene.ts';
import { type NowaitRead, systemNowaitRead } from './nowait-read.ts';

const { EAGAIN, EBADF, EOPNOTSUPP } = os.constants.errno;
const SIZE = 1024 * 1024;
const directory = temporaryDirectory();
const opened: number[] = [];
afterAll(async () => {
  for (const descriptor of opened) fs.closeSync(descriptor);
  await removeFolder(directory);
});

const content = Buffer.from(Array.from({ length: SIZE }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
let files = 0;

function newFile(): { file: string; fd: number } {
  const file = path.join(directory, `f${++files}`);
  fs.writeFileSync(file, content);
  const fd = fs.openSync(file, 'r+');
  opened.push(fd);
  return { file, fd };
}

/** Returns the call if koffi is installed and the file system of the temporary directory supports it. */
function need(context: TestContext): NowaitRead {
  const read = systemNowaitRead();
  context.skip(read === null, 'needs koffi: npm run build installs it on the usual platforms');
  const refused = read?.(newFile().fd, Buffer.alloc(512), 0, 512, 0) === -EOPNOTSUPP;
  context.skip(refused, 'needs a temporary directory on a file system that reads without waiting, such as ext4 or XFS');
  return read as NowaitRead;
}

test('cached data arrives, and the bytes around its range keep their values', (context) => {
  const read = need(context);
  const { fd } = newFile();
  for (const [offset, length, position] of [
    [0, 512, 0],
    [100, 8192, 4096],
    [77, 4096, 12_345],
    [0, SIZE, 0],
  ] as const) {
    const whole = Buffer.alloc(offset + length + 200, 0xee);
    // The target is a view that does not begin at the start of its memory.
    const target = whole.subarray(50);
    expect(read(fd, target, offset, length, position)).toBe(length);
    expect(target.subarray(offset, offset + length).equals(content.subarray(position, position + length))).toBe(true);
    expect(whole.subarray(0, 50 + offset).every((byte) => byte === 0xee)).toBe(true);
    expect(target.subarray(offset + length).every((byte) => byte === 0xee)).toBe(true);
  }
});

test('small and pooled buffers, whose memory belongs to several, get their own bytes', (context) => {
  const read = need(context);
  const { fd } = newFile();
  const targets = [Buffer.alloc(16), Buffer.allocUnsafe(16), Buffer.from(new Uint8Array(16)), Buffer.allocUnsafe(16)];
  for (const [index, target] of targets.entries()) expect(read(fd, target, 0, 16, index * 100)).toBe(16);
  for (const [index, target] of targets.entries()) expect(target.equals(content.subarray(index * 100, index * 100 + 16))).toBe(true);
});

test('positions beyond 2^32, and holes', (context) => {
  const read = need(context);
  const { fd } = newFile();
  for (const position of [2 ** 31 - 256, 2 ** 32 - 256, 2 ** 40 + 512]) {
    fs.writeSync(fd, content, 0, 512, position);
    const target = Buffer.alloc(512);
    expect(read(fd, target, 0, 512, position)).toBe(512);
    expect(target.equals(content.subarray(0, 512))).toBe(true);
  }
  // A read of a hole returns zeros or would wait, but never returns other bytes or an error.
  const target = Buffer.alloc(4096, 9);
  const moved = read(fd, target, 0, 4096, 2 ** 33);
  expect([4096, -EAGAIN]).toContain(moved);
  if (moved > 0) expect(target.every((byte) => byte === 0)).toBe(true);
});

test('a read over the end is short, one behind it is empty, and a closed descriptor is an error', (context) => {
  const read = need(context);
  const { fd } = newFile();
  const target = Buffer.alloc(1024);
  expect(read(fd, target, 0, 1024, SIZE - 512)).toBe(512);
  expect(read(fd, target, 0, 1024, SIZE)).toBe(0);
  expect(read(-1, target, 0, 1024, 0)).toBe(-EBADF);
});

test('data that is not cached is refused at once, and arrives after another read has fetched it', (context) => {
  const read = need(context);
  const { file, fd } = newFile();
  fs.fdatasyncSync(fd);
  const target = Buffer.alloc(8192);
  let refused = 0;
  for (let time = 0; time < 20; time++) {
    const dropped = spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
    context.skip(dropped.status !== 0, 'needs dd with iflag=nocache (coreutils)');
    const moved = read(fd, target, 0, 8192, 65_536);
    if (moved === -EAGAIN) refused++;
    // A fast disk may have delivered a part or all of the data before this read.
    else expect(moved).toBeGreaterThan(0);
    expect(fs.readSync(fd, target, 0, 8192, 65_536)).toBe(8192);
    expect(read(fd, target, 0, 8192, 65_536)).toBe(8192);
    expect(target.equals(content.subarray(65_536, 65_536 + 8192))).toBe(true);
  }
  expect(refused).toBeGreaterThan(0);
});

test('a range beyond the buffer, or a buffer whose memory was given away, is refused before the call', (context) => {
  const read = need(context);
  const { fd } = newFile();
  expect(() => read(fd, Buffer.alloc(100), 1, 100, 0)).toThrow('beyond the end of its buffer');
  for (const offset of [Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => read(fd, Buffer.alloc(100), offset, 100, 0)).toThrow('beyond the end of its buffer');
  expect(() => read(fd, Buffer.alloc(100), 0, Number.NaN, 0)).toThrow('beyond the end of its buffer');
  expect(() => read(fd, Buffer.alloc(100), -1, 100, 0)).toThrow('beyond the end of its buffer');
  const given = Buffer.from(new ArrayBuffer(512));
  expect(read(fd, given, 0, 512, 0)).toBe(512);
  structuredClone(given.buffer, { transfer: [given.buffer as ArrayBuffer] });
  expect(() => read(fd, given, 0, 512, 0)).toThrow('beyond the end of its buffer');
});
