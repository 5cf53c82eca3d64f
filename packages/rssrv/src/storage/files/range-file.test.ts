// Tests holes, zeroed ranges, extents and marks of real sparse files; stat and read are the oracle. Other tests have storage that refuses,
// fails or does not answer. range-extents.test.ts tests the conversion to sectors, and marks.test.ts finds marks.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type FileCalls, fileCalls } from '../../machine/file-calls.ts';
import { promised, refusing, servedVolume, temporaryDirectory, testPorts, WITHOUT_HOLES } from '../../testing/backend-scene.ts';
import { openBackend } from '../open-backend.ts';
import { STEP_MAX_BYTES, ZERO_STEP_BYTES } from '../limits.ts';
import { ThreadShares } from '../io/thread-shares.ts';
import { RangeFile } from './range-file.ts';
import fs from 'node:fs';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const { DATA, HOLE } = EXTENT;
const CHUNK_BYTES = 256 * 1024;
let directory = '';
let files = 0;

beforeAll(() => {
  directory = temporaryDirectory();
});
afterAll(() => removeFolder(directory));

/** Makes a file with three chunks: data, a hole, and data. */
function sparseFile(): string {
  const file = path.join(directory, `s${++files}`);
  fs.writeFileSync(file, Buffer.alloc(3 * CHUNK_BYTES, 7));
  const descriptor = fs.openSync(file, 'w+');
  fs.ftruncateSync(descriptor, 3 * CHUNK_BYTES);
  for (const chunk of [0, 2]) fs.writeSync(descriptor, Buffer.alloc(CHUNK_BYTES, 7), 0, CHUNK_BYTES, chunk * CHUNK_BYTES);
  fs.closeSync(descriptor);
  return file;
}

test('extents of a sparse file are reported to the sector', async () => {
  const file = sparseFile();
  const chunk = CHUNK_BYTES / 512;
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  expect(backend.capabilities).toMatchObject({ canDiscard: true, canZeroFast: true, canExtents: true });
  const io = promised(backend);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([chunk, DATA, chunk, HOLE, chunk, DATA]);
  expect(await io.extents(CHUNK_BYTES + 512, CHUNK_BYTES)).toEqual([chunk - 1, HOLE, 1, DATA]);
  expect(await io.extents(2 * CHUNK_BYTES, 512)).toEqual([1, DATA]);
  await backend.close();
});

test('a discard and a zero make holes; a zero that must stay allocated does not', async () => {
  const file = sparseFile();
  const before = fs.statSync(file).blocks;
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  const io = promised(backend);
  expect(await io.zero(0, CHUNK_BYTES, true, true)).toBe(STATUS.OK);
  expect(fs.statSync(file).blocks).toBeGreaterThanOrEqual(before);
  expect(await io.zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(await io.discard(2 * CHUNK_BYTES, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.statSync(file).blocks).toBe(0);
  expect(fs.statSync(file).size).toBe(3 * CHUNK_BYTES);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([(3 * CHUNK_BYTES) / 512, HOLE]);
  await backend.close();
});

test('opening a file does not change it', async () => {
  const file = sparseFile();
  const before = fs.statSync(file);
  const content = fs.readFileSync(file);
  await (await openBackend(servedVolume({ path: file, sizeBytes: 4096 }), testPorts())).close();
  expect(fs.statSync(file)).toMatchObject({ size: before.size, blocks: before.blocks });
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('storage without holes: everything is data, a discard does nothing, zeros are written', async () => {
  const file = sparseFile();
  const ports = testPorts(WITHOUT_HOLES);
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
  expect(backend.capabilities).toMatchObject({ canDiscard: false, canZeroFast: false, canExtents: false });
  const io = promised(backend);
  expect(await io.discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file)[0]).toBe(7);
  expect(await io.extents(0, 3 * CHUNK_BYTES)).toEqual([(3 * CHUNK_BYTES) / 512, DATA]);
  expect(await io.zero(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(file).subarray(0, CHUNK_BYTES).equals(Buffer.alloc(CHUNK_BYTES))).toBe(true);
  expect(ports.errors).toEqual([]);
  await backend.close();
});

test('the probe punches beyond every volume, at the first position that the file system accepts, and never within the file', async () => {
  const punched: number[] = [];
  const limitBytes = 2 ** 44;
  const calls: FileCalls = {
    ...fileCalls(),
    ...WITHOUT_HOLES,
    punch: (_descriptor, positionBytes, lengthBytes, end) => {
      punched.push(positionBytes);
      setImmediate(end, positionBytes + lengthBytes > limitBytes ? 'EFBIG' : null);
    },
  };
  const canPunch = async (sizeBytes: number, isWritable = true): Promise<boolean> => {
    punched.length = 0;
    const file = { descriptor: -1, isRegular: true, sizeBytes, isWritable, canPunch: 'probe' } as const;
    return (await RangeFile.open(calls, systemClock, file)).canPunch;
  };
  expect([await canPunch(4096), punched]).toEqual([true, [2 ** 62, 2 ** 44 - 2 ** 16]]);
  expect([await canPunch(2 ** 44 - 4096), punched]).toEqual([false, [2 ** 62]]);
  expect([await canPunch(4096, false), punched]).toEqual([false, []]);
});

test('a writable file is marked before its backend is there, and a read-only one is not', async () => {
  for (const readonly of [false, true]) {
    const order: string[] = [];
    let answer: (errno: string | null) => void = () => undefined;
    const ports = testPorts({
      mark: (_descriptor, end) => {
        order.push('asked');
        answer = end;
      },
    });
    const opening = openBackend(servedVolume({ path: sparseFile(), sizeBytes: 4096, readonly }), ports).then((backend) => {
      order.push('open');
      return backend;
    });
    if (!readonly) {
      await vi.waitFor(() => expect(order).toEqual(['asked']));
      order.push('answered');
      answer(null);
    }
    await (await opening).close();
    expect(order).toEqual(readonly ? ['open'] : ['asked', 'answered', 'open']);
  }
});

test('a range of terabytes is discarded in a few steps', async () => {
  const file = path.join(directory, 'large');
  const sizeBytes = 4096 * STEP_MAX_BYTES;
  fs.closeSync(fs.openSync(file, 'w'));
  fs.truncateSync(file, sizeBytes);
  let steps = 0;
  const { punch } = fileCalls();
  const counted: FileCalls['punch'] = (...values) => {
    steps++;
    punch(...values);
  };
  const backend = await openBackend(servedVolume({ path: file, sizeBytes }), testPorts({ punch: counted }));
  expect(await promised(backend).discard(0, sizeBytes)).toBe(STATUS.OK);
  expect(steps).toBeLessThan(sizeBytes / ZERO_STEP_BYTES / 16);
  await backend.close();
  fs.rmSync(file);
});

test('a request that the storage refuses uses the fallback; one that fails is an error', async () => {
  const file = sparseFile();
  const opened = async (errno: string) => {
    const calls = { ...fileCalls() };
    const ports = { ...testPorts(), calls };
    const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), ports);
    Object.assign(calls, refusing(errno));
    return { backend, io: promised(backend), errors: ports.errors };
  };
  const refused = await opened('EOPNOTSUPP');
  for (const keep of [true, false]) expect(await refused.io.zero(0, 512, keep)).toBe(STATUS.OK);
  expect(await refused.io.discard(0, 512)).toBe(STATUS.OK);
  expect(await refused.io.extents(0, 1024)).toEqual([2, DATA]);
  expect(refused.errors).toEqual([]);
  await refused.backend.close();
  const failed = await opened('EIO');
  expect(await failed.io.zero(0, 512)).toBe(STATUS.IO_ERROR);
  expect(await failed.io.discard(0, 512)).toBe(STATUS.IO_ERROR);
  await expect(failed.io.extents(0, 512)).rejects.toThrow(String(STATUS.IO_ERROR));
  expect(failed.errors).toEqual(['zero EIO', 'discard EIO', 'extents EIO']);
  await failed.backend.close();
});

test('a range whose storage hangs delays no other volume, and its file stays open until the call has ended', async () => {
  const [hung, well] = [sparseFile(), sparseFile()];
  const held: (() => void)[] = [];
  const { punch } = fileCalls();
  const calls = { ...fileCalls() };
  const ports = { ...testPorts(), calls };
  const bad = await openBackend(servedVolume({ path: hung, sizeBytes: 3 * CHUNK_BYTES }), ports);
  const good = await openBackend(servedVolume({ path: well, sizeBytes: 3 * CHUNK_BYTES, id: 'well' }), ports);
  calls.punch = (...values) => void held.push(() => punch(...values));
  const discards = Array.from({ length: 20 }, () => promised(bad).discard(0, CHUNK_BYTES));
  await vi.waitFor(() => expect(held).toHaveLength(8));
  calls.punch = punch;
  expect(await promised(good).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  expect(await promised(good).extents(0, CHUNK_BYTES)).toEqual([CHUNK_BYTES / 512, HOLE]);
  const reader = fs.openSync(hung, 'r');
  let isClosed = false;
  const closing = bad.close().then(() => (isClosed = true));
  expect([await fileCalls().isMarked(reader), isClosed]).toEqual([true, false]);
  for (const go of held) go();
  expect(new Set(await Promise.all(discards))).toEqual(new Set([STATUS.OK]));
  await closing;
  expect([await fileCalls().isMarked(reader), fs.readFileSync(hung)[0]]).toEqual([false, 0]);
  fs.closeSync(reader);
  await good.close();
});

test('opens whose storage hangs take the threads of their volume alone', async () => {
  const held: (() => void)[] = [];
  const { mark } = fileCalls();
  const calls = { ...fileCalls() };
  const ports = { ...testPorts(), calls, threads: new ThreadShares(4) };
  const opened = (id: string) => openBackend(servedVolume({ path: sparseFile(), sizeBytes: 4096, id }), ports);
  calls.mark = (...values) => void held.push(() => mark(...values));
  const opening = Array.from({ length: 5 }, () => opened('hung'));
  await vi.waitFor(() => expect([held.length, ports.threads.callsOf('hung')]).toEqual([2, 5]));
  calls.mark = mark;
  await (await opened('well')).close();
  for (const go of held) go();
  for (const backend of await Promise.all(opening)) await backend.close();
  expect(ports.threads.callsOf('hung')).toBe(0);
});

test('a fragmented range is reported up to the largest answer, and a file ends where it ends', async () => {
  const file = path.join(directory, 'fragments');
  const descriptor = fs.openSync(file, 'w+');
  const step = 128 * 1024;
  const count = EXTENTS_PER_ANSWER_MAX / 2 + 10;
  for (let index = 0; index < count; index++) fs.writeSync(descriptor, Buffer.alloc(4096, 7), 0, 4096, index * step);
  const range = await RangeFile.open(fileCalls(), systemClock, {
    descriptor,
    isRegular: true,
    sizeBytes: count * step,
    isWritable: false,
    canPunch: false,
  });
  const extents = (from: number, length: number): Promise<readonly number[]> =>
    new Promise((resolve) => range.extents(from, length, (_errno, found) => resolve(found)));
  const found = await extents(0, count * step);
  expect(found).toHaveLength(2 * EXTENTS_PER_ANSWER_MAX);
  expect(found.slice(0, 6)).toEqual([4096, 0, step - 4096, 1, 4096, 0]);
  const lastBytes = (count - 1) * step;
  expect(await extents(lastBytes - 4096, 1024 * step)).toEqual([4096, 1, 4096, 0]);
  fs.closeSync(descriptor);
});

test('calls work on the opened file, even when another file has its name by now', async () => {
  const file = sparseFile();
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 3 * CHUNK_BYTES }), testPorts());
  const moved = `${file}.moved`;
  fs.renameSync(file, moved);
  fs.copyFileSync(moved, file);
  expect(await promised(backend).discard(0, CHUNK_BYTES)).toBe(STATUS.OK);
  await backend.close();
  expect(fs.readFileSync(file)[0]).toBe(7);
  expect(fs.readFileSync(moved)[0]).toBe(0);
});
