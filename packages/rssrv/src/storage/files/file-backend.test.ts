// Compares the file backend and the null backend with a model of the volume's bytes. Also tests the backends on storage that refuses,
// fails, is slow or was truncated. range-file.test.ts tests holes, and opened-device.test.ts tests block devices.
// Rules: G4, N5 in docs/GUARANTEES.md.

import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { FileCalls } from '../../machine/file-calls.ts';
import { plainRange, promised, servedVolume, temporaryDirectory, testPorts, WITHOUT_HOLES } from '../../testing/backend-scene.ts';
import { type Backend, WOULD_WAIT } from '../io/backend.ts';
import { POOL_RUN_REQUESTS, ZERO_STEP_BYTES } from '../limits.ts';
import { systemFileSize } from '../io/file-size.ts';
import { InlinePolicy } from '../io/inline-policy.ts';
import { type NowaitRead, systemNowaitRead } from '../io/nowait-read.ts';
import { openBackend } from '../open-backend.ts';
import { FileBackend } from './file-backend.ts';
import { openRegularFile } from './opened-file.ts';
import { storageName } from './storage-identity.ts';
import fc from 'fast-check';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const SECTORS = 64;
const SIZE_BYTES = SECTORS * SECTOR_BYTES;
let directory = '';
let files = 0;

beforeAll(() => {
  directory = temporaryDirectory();
});
afterAll(() => removeFolder(directory));

function newFile(content: Buffer): string {
  const file = path.join(directory, `f${++files}`);
  fs.writeFileSync(file, content);
  return file;
}

type Io = ReturnType<typeof promised>;

const range = fc
  .tuple(fc.integer({ min: 0, max: SECTORS - 1 }), fc.integer({ min: 1, max: SECTORS }))
  .map(([lba, count]) => ({ position: lba * SECTOR_BYTES, length: Math.min(count, SECTORS - lba) * SECTOR_BYTES }));
const operation = fc.record({
  kind: fc.constantFrom('read', 'write', 'fua', 'zero', 'keep', 'discard', 'flush'),
  at: range,
  fill: fc.integer({ min: 1, max: 255 }),
  offset: fc.integer({ min: 0, max: 100 }),
  sync: fc.boolean(),
});

type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

/** Runs the operations on a volume and on a plain buffer, and compares every read and the file at the end. */
async function compare(
  type: 'file' | 'memory',
  calls: Partial<FileCalls>,
  nowait: NowaitRead | null,
  operations: Operation[],
): Promise<void> {
  const reference = Buffer.alloc(SIZE_BYTES, 7);
  const file = newFile(reference);
  // The clock stands still, so that no call is slow. The parameter `sync` alone decides whether calls run on the event loop or in the
  // thread pool.
  const ports = { ...testPorts(calls), clock: new FakeClock(), nowait };
  const backend = await openBackend(servedVolume({ type, path: file, sizeBytes: SIZE_BYTES }), ports);
  const io = promised(backend);
  for (const { kind, at, fill, offset, sync } of operations) {
    const { position, length } = at;
    const buffer = Buffer.alloc(offset + length + 100, fill);
    let status: number = STATUS.OK;
    if (kind === 'read') {
      const tried = sync ? backend.tryRead(buffer, offset, length, position) : WOULD_WAIT;
      // With `nowait`, a read of a punched hole may be refused, because holes are not cached.
      if (nowait === null) expect(tried === WOULD_WAIT).toBe(!sync);
      status = tried === WOULD_WAIT ? await io.read(buffer, offset, length, position) : tried;
      expect(buffer.subarray(offset, offset + length).equals(reference.subarray(position, position + length))).toBe(true);
      expect(buffer.subarray(0, offset).every((byte) => byte === fill)).toBe(true);
      expect(buffer.subarray(offset + length).every((byte) => byte === fill)).toBe(true);
    } else if (kind === 'write' || kind === 'fua') {
      const atOnce = sync && kind === 'write';
      for (let index = 0; index < length; index++) buffer[offset + index] = (fill + index) & 0xff;
      const tried = atOnce ? backend.tryWrite(buffer, offset, length, position) : WOULD_WAIT;
      // A write up to the end of the volume never runs on the event loop.
      expect(tried === WOULD_WAIT).toBe(!atOnce || position + length === SIZE_BYTES);
      status = tried === WOULD_WAIT ? await io.write(buffer, offset, length, position, kind === 'fua') : tried;
      buffer.copy(reference, position, offset, offset + length);
    } else if (kind === 'zero' || kind === 'keep') {
      status = await io.zero(position, length, kind === 'keep', sync);
      reference.fill(0, position, position + length);
    } else if (kind === 'discard') {
      status = await io.discard(position, length);
      const now = fs.readFileSync(file).subarray(position, position + length);
      const untouched = now.equals(reference.subarray(position, position + length));
      expect(untouched || now.every((byte) => byte === 0)).toBe(true);
      if (!backend.capabilities.canDiscard) expect(untouched).toBe(true);
      now.copy(reference, position);
    } else {
      status = await io.flush();
    }
    expect(status).toBe(STATUS.OK);
  }
  await backend.close();
  expect(fs.readFileSync(file).equals(reference)).toBe(true);
  expect(ports.errors).toEqual([]);
  fs.rmSync(file);
}

test.each([
  ['file', {}, null],
  ['file', WITHOUT_HOLES, null],
  ['file', {}, systemNowaitRead()],
  ['memory', {}, null],
] as const)('%s %o equals a plain buffer under random operations', async (type, calls, nowait) => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 30 }), (operations) => compare(type, calls, nowait, operations)),
    { numRuns: 30 },
  );
});

test('many operations at once end with the same content as the model', async () => {
  const file = newFile(Buffer.alloc(SIZE_BYTES, 7));
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: SIZE_BYTES }), testPorts());
  const io = promised(backend);
  const outcomes = Array.from({ length: SECTORS }, (_, sector) => {
    const position = sector * SECTOR_BYTES;
    if (sector % 4 === 0) return io.zero(position, SECTOR_BYTES, false, true);
    if (sector % 4 === 1) return io.zero(position, SECTOR_BYTES, true, false);
    return io.write(Buffer.alloc(SECTOR_BYTES, sector), 0, SECTOR_BYTES, position, sector % 4 === 2);
  });
  const closed = backend.close();
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set([STATUS.OK]));
  await closed;
  const content = fs.readFileSync(file);
  for (let sector = 0; sector < SECTORS; sector++) expect(content[sector * SECTOR_BYTES]).toBe(sector % 4 < 2 ? 0 : sector);
});

describe('a file that was truncated while it was served', () => {
  const LAST = SIZE_BYTES - SECTOR_BYTES;
  const { OK, VOLUME_UNAVAILABLE } = STATUS;
  const sector = Buffer.alloc(SECTOR_BYTES, 1);

  async function served(type: 'file' | 'memory' = 'file', nowait: NowaitRead | null = null) {
    const file = newFile(Buffer.alloc(SIZE_BYTES, 7));
    const ports = { ...testPorts(), nowait };
    const backend = await openBackend(servedVolume({ type, path: file, sizeBytes: SIZE_BYTES }), ports);
    return { file, ports, backend, io: promised(backend) };
  }

  const look = (backend: Backend): Promise<string | null> => new Promise((resolve) => backend.end?.check(resolve));

  test('is unavailable after the first read past its end, for whole parts too', async () => {
    const { file, ports, backend, io } = await served();
    fs.truncateSync(file, 1000);
    const target = Buffer.alloc(1024);
    expect(backend.tryRead(target, 0, 1024, 512)).toBe(VOLUME_UNAVAILABLE);
    expect(await io.read(target, 0, 512, 0)).toBe(VOLUME_UNAVAILABLE);
    expect(backend.tryRead(target, 0, 512, 0)).toBe(WOULD_WAIT);
    expect(backend.tryWrite(sector, 0, SECTOR_BYTES, 0)).toBe(WOULD_WAIT);
    expect(await io.write(sector, 0, SECTOR_BYTES, 0)).toBe(VOLUME_UNAVAILABLE);
    expect(await io.flush()).toBe(VOLUME_UNAVAILABLE);
    expect(new Set(ports.errors)).toEqual(new Set(['read SHORT_READ', 'write SHORT_READ', 'flush SHORT_READ']));
    await backend.close();
  });

  test.each(['file', 'memory'] as const)('does not return zeros for lost data after a write has lengthened the %s again', async (type) => {
    const { file, backend, io } = await served(type);
    fs.truncateSync(file, 1000);
    expect(await io.write(sector, 0, SECTOR_BYTES, LAST - SECTOR_BYTES)).toBe(VOLUME_UNAVAILABLE);
    expect(await look(backend)).toBe('SHORT_READ');
    expect(await io.read(Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, 4096)).toBe(VOLUME_UNAVAILABLE);
    await backend.close();
  });

  /** Writes behind the lost part as another server process of a shared volume does, whose cut this backend cannot know. */
  const writeBehind = (file: string, position = LAST - SECTOR_BYTES): void => {
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, sector, 0, SECTOR_BYTES, position);
    fs.closeSync(descriptor);
  };

  test.each([
    ['file', null],
    ['file', systemNowaitRead()],
    ['memory', null],
  ] as const)('%s: no read of the lost part succeeds once data behind it was written, on the loop or in the pool', async (type, nowait) => {
    for (const read of ['loop', 'pool'] as const) {
      const { file, backend, io, ports } = await served(type, nowait);
      const target = Buffer.alloc(SECTOR_BYTES);
      fs.truncateSync(file, 1000);
      writeBehind(file);
      const tried = read === 'loop' ? backend.tryRead(target, 0, SECTOR_BYTES, 4096) : WOULD_WAIT;
      expect(tried === WOULD_WAIT ? await io.read(target, 0, SECTOR_BYTES, 4096) : tried, read).toBe(VOLUME_UNAVAILABLE);
      expect([backend.end?.isCut, ports.errors]).toEqual([true, ['read SHORT_READ']]);
      await backend.close();
    }
  });

  test('no read in pieces of the lost part succeeds, and none of a part that is still there', async () => {
    for (const position of [0, 4096]) {
      const file = newFile(Buffer.alloc(SIZE_BYTES, 7));
      const backend = await openRegularFile(servedVolume({ path: file, sizeBytes: SIZE_BYTES }), testPorts());
      fs.truncateSync(file, 1000);
      writeBehind(file);
      const pieces = [Buffer.alloc(512), Buffer.alloc(512)];
      expect(backend.tryReadPieces(pieces, 1024, position)).toBe(VOLUME_UNAVAILABLE);
      expect(await promised(backend).read(Buffer.alloc(512), 0, 512, 0)).toBe(VOLUME_UNAVAILABLE);
      await backend.close();
    }
  });

  test.each([
    ['a write', (io: Io) => io.write(sector, 0, SECTOR_BYTES, 4096)],
    ['a write with FUA', (io: Io) => io.write(sector, 0, SECTOR_BYTES, 4096, true)],
    ['zeros', (io: Io) => io.zero(4096, SECTOR_BYTES, true)],
    ['a write on the loop', (_io: Io, backend: Backend) => backend.tryWrite(sector, 0, SECTOR_BYTES, 4096)],
  ])('%s behind the lost part does not succeed, and the cut stays known', async (_name, change) => {
    const { file, backend, io } = await served();
    fs.truncateSync(file, 1000);
    expect(await change(io, backend)).toBe(VOLUME_UNAVAILABLE);
    // Another program makes the file as long as it was. The lost part stays lost.
    fs.truncateSync(file, SIZE_BYTES);
    expect(await io.read(Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, 4096 - SECTOR_BYTES)).toBe(VOLUME_UNAVAILABLE);
    expect(await io.flush()).toBe(VOLUME_UNAVAILABLE);
    await backend.close();
  });

  test('a read that runs in the pool while the file is cut does not succeed', async () => {
    const { file, backend, io } = await served();
    const reading = io.read(Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, 4096);
    fs.truncateSync(file, 1000);
    writeBehind(file);
    expect(await reading).toBe(VOLUME_UNAVAILABLE);
    await backend.close();
  });

  test.each([
    ['a write', (io: Io) => io.write(sector, 0, SECTOR_BYTES, LAST)],
    ['a write with FUA', (io: Io) => io.write(sector, 0, SECTOR_BYTES, LAST, true)],
    ['zeros', (io: Io) => io.zero(0, SIZE_BYTES, true)],
  ])('never has its size again by %s to its end', async (_name, change) => {
    const { file, backend, io } = await served();
    fs.truncateSync(file, 1000);
    expect(backend.tryWrite(sector, 0, SECTOR_BYTES, LAST), 'looks first').toBe(WOULD_WAIT);
    expect(await change(io)).toBe(VOLUME_UNAVAILABLE);
    expect(fs.statSync(file).size).toBe(1000);
    await backend.close();
  });

  test('answers neither a flush nor a query for extents', async () => {
    const { file, backend, io } = await served();
    expect(await io.flush()).toBe(OK);
    fs.truncateSync(file, LAST);
    expect(await io.flush()).toBe(VOLUME_UNAVAILABLE);
    await expect(io.extents(0, SIZE_BYTES)).rejects.toThrow(`Extents answered ${VOLUME_UNAVAILABLE}`);
    await backend.close();
  });

  test('is detected at the end of a grown volume, and growing causes no false alarm', async () => {
    const { file, backend, io } = await served();
    fs.truncateSync(file, 2 * SIZE_BYTES);
    backend.end?.grow(2 * SIZE_BYTES);
    expect(await io.write(sector, 0, SECTOR_BYTES, 2 * SIZE_BYTES - SECTOR_BYTES)).toBe(OK);
    expect(backend.tryWrite(sector, 0, SECTOR_BYTES, LAST)).toBe(OK);
    expect([await look(backend), await io.flush()]).toEqual([null, OK]);
    fs.truncateSync(file, SIZE_BYTES + 1000);
    expect(await look(backend)).toBe('SHORT_READ');
    await backend.close();
  });
});

test('full and failing storage each give their status and are reported', async () => {
  const errors: string[] = [];
  const range = await plainRange();
  const open = (file: string) =>
    new FileBackend(
      {
        type: 'file',
        descriptor: fs.openSync(file, 'r+'),
        syncedDescriptor: fs.openSync(file, 'r+'),
        sizeBytes: SIZE_BYTES,
        readonly: false,
        inline: null,
        cached: null,
        range,
        fileSize: systemFileSize(),
        dropPages: (descriptor, done) => {
          errors.push(`pages of ${descriptor > 0 ? 'the file' : 'nothing'} dropped`);
          done();
        },
      },
      (operation, errno) => errors.push(`${operation} ${errno}`),
    );
  const full = open('/dev/full');
  const buffer = Buffer.alloc(512, 1);
  expect(full.tryWrite(buffer, 0, 512, 0)).toBe(STATUS.NO_SPACE);
  expect(await promised(full).write(buffer, 0, 512, 0, true)).toBe(STATUS.NO_SPACE);
  expect(await promised(full).zero(0, 512)).toBe(STATUS.NO_SPACE);
  await full.close();
  // A read at position 0 of this file fails, because this process has no memory page at address 0.
  const failing = open('/proc/self/mem');
  expect(failing.tryRead(buffer, 0, 512, 0)).toBe(STATUS.IO_ERROR);
  expect(await promised(failing).read(buffer, 0, 512, 0)).toBe(STATUS.IO_ERROR);
  expect(await promised(failing).flush()).toBe(STATUS.IO_ERROR);
  await failing.close();
  expect(errors).toEqual([
    'write ENOSPC',
    'write ENOSPC',
    'zero ENOSPC',
    'read EIO',
    'read EIO',
    'flush EINVAL',
    'pages of the file dropped',
  ]);
});

test('two slow calls send a file to the pool for a run of requests; memory never goes there', async () => {
  const file = newFile(Buffer.alloc(SIZE_BYTES, 7));
  let nowMs = 0;
  const clock = { ...testPorts().clock, monotonicMs: () => (nowMs += 10) };
  const ports = { ...testPorts(), clock, sleeps: () => 0 };
  const target = Buffer.alloc(512);
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: SIZE_BYTES }), ports);
  expect(backend.tryWrite(target, 0, 512, 0)).toBe(STATUS.OK);
  expect(backend.tryWrite(target, 0, 512, 0)).toBe(STATUS.OK);
  target.fill(9);
  for (let request = 0; request < POOL_RUN_REQUESTS; request++) expect(backend.tryRead(target, 0, 512, 0)).toBe(WOULD_WAIT);
  expect(target.every((byte) => byte === 9)).toBe(true);
  expect(backend.tryRead(target, 0, 512, 0)).toBe(STATUS.OK);
  await backend.close();
  const memory = await openBackend(servedVolume({ type: 'memory', path: file, sizeBytes: SIZE_BYTES }), ports);
  for (let request = 0; request < 3; request++) expect(memory.tryRead(target, 0, 512, 0)).toBe(STATUS.OK);
  await memory.close();
});

test('a long zero runs in steps and leaves its neighbours alone', async () => {
  for (const calls of [{}, WITHOUT_HOLES]) {
    const file = newFile(Buffer.alloc(1024, 7));
    const sizeBytes = 2 * ZERO_STEP_BYTES + 4096;
    fs.truncateSync(file, sizeBytes);
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, Buffer.alloc(512, 7), 0, 512, sizeBytes - 512);
    fs.closeSync(descriptor);
    const backend = await openBackend(servedVolume({ path: file, sizeBytes }), testPorts(calls));
    expect(await promised(backend).zero(512, sizeBytes - 1024, false, true)).toBe(STATUS.OK);
    await backend.close();
    const content = fs.readFileSync(file);
    expect(content.subarray(0, 512).every((byte) => byte === 7)).toBe(true);
    expect(content.subarray(512, -512).equals(Buffer.alloc(sizeBytes - 1024))).toBe(true);
    expect(content.subarray(-512).every((byte) => byte === 7)).toBe(true);
  }
});

test('a volume longer than its file is not opened, and the error names both sizes', async () => {
  const file = newFile(Buffer.alloc(1024));
  await expect(openBackend(servedVolume({ path: file, sizeBytes: 4096 }), testPorts())).rejects.toMatchObject({
    code: 'E_VOLUME',
    message: expect.stringMatching(/oracle has 4096 bytes.*only 1024: /),
  });
  await expect(openBackend(servedVolume({ path: '/nowhere/x', sizeBytes: 4096 }), testPorts())).rejects.toMatchObject({
    code: 'E_VOLUME',
    message: expect.stringContaining('(ENOENT)'),
  });
  await expect(openBackend(servedVolume({ type: 'block', path: file, sizeBytes: 512 }), testPorts())).rejects.toMatchObject({
    code: 'E_VOLUME',
    message: expect.stringContaining('not a block device'),
  });
});

test('a file that replaced the served one is not opened, however similar it is', async () => {
  const file = newFile(Buffer.alloc(4096, 1));
  const volume = servedVolume({ path: file, sizeBytes: 4096, storage: storageName(fs.statSync(file, { bigint: true })) });
  const backend = await openBackend(volume, testPorts());
  fs.renameSync(newFile(Buffer.alloc(4096, 2)), file);
  await expect(openBackend(volume, testPorts())).rejects.toMatchObject({
    code: 'E_VOLUME',
    message: `Volume oracle: ${file} was replaced by another file while rssrv served it: restore the original, or restart rssrv`,
  });
  const buffer = Buffer.alloc(4096);
  expect(await promised(backend).read(buffer, 0, 4096, 0)).toBe(STATUS.OK);
  expect(buffer.equals(Buffer.alloc(4096, 1))).toBe(true);
  await backend.close();
});

test('a read-only volume is never written to', async () => {
  const file = newFile(Buffer.alloc(1024, 7));
  const backend = await openBackend(servedVolume({ path: file, sizeBytes: 1024, readonly: true }), testPorts());
  expect(backend.capabilities).toMatchObject({ readonly: true, canDiscard: false });
  expect(backend.tryWrite(Buffer.alloc(512), 0, 512, 0)).toBe(STATUS.READ_ONLY);
  expect(await promised(backend).zero(0, 512)).toBe(STATUS.READ_ONLY);
  await backend.close();
  expect(fs.readFileSync(file).every((byte) => byte === 7)).toBe(true);
});

// Regression: a server of NFS that had lost the file ended the process between the answers of a batch.
test('a size that cannot be read is an error of the operation alone, also in a batch of completions', async () => {
  const file = newFile(Buffer.alloc(1024, 7));
  const fails: boolean[] = [];
  const errors: string[] = [];
  const backend = new FileBackend(
    {
      type: 'file',
      descriptor: fs.openSync(file, 'r+'),
      syncedDescriptor: null,
      sizeBytes: 1024,
      readonly: false,
      inline: null,
      cached: null,
      range: await plainRange(),
      dropPages: null,
      fileSize: (descriptor) => {
        if (fails.shift() === true) throw Object.assign(new Error('ESTALE: stale file handle'), { code: 'ESTALE' });
        return systemFileSize()(descriptor);
      },
    },
    (operation, errno) => errors.push(`${operation} ${errno}`),
  );
  const buffer = Buffer.alloc(512);
  fails.push(false, true, false, true, false);
  const reads = [0, 1, 2].map(() => promised(backend).read(buffer, 0, 512, 0));
  const statuses = await Promise.all(reads);
  expect([STATUS.OK, STATUS.IO_ERROR].map((status) => statuses.filter((one) => one === status).length)).toEqual([2, 1]);
  expect([backend.tryRead(buffer, 0, 512, 0), backend.tryRead(buffer, 0, 512, 0)]).toEqual([STATUS.IO_ERROR, STATUS.OK]);
  expect([errors, backend.end.isCut]).toEqual([['read ESTALE', 'read ESTALE'], false]);
  await backend.close();
});

test('the size of a file that cannot be read is an error with its errno', () => {
  expect(() => systemFileSize()(-1)).toThrow('lseek failed with EBADF');
});

test('a closed backend does not touch a file that was given its old descriptor number', async () => {
  const file = newFile(Buffer.alloc(1024, 7));
  const backend = new FileBackend(
    {
      type: 'file',
      descriptor: fs.openSync(file, 'r+'),
      syncedDescriptor: null,
      sizeBytes: 1024,
      readonly: false,
      inline: new InlinePolicy(new FakeClock(), 'sync', () => 0),
      cached: null,
      range: await plainRange(),
      fileSize: systemFileSize(),
      dropPages: null,
    },
    () => undefined,
  );
  await backend.close();
  const other = fs.openSync(newFile(Buffer.alloc(1024)), 'r+');
  expect(() => backend.tryWrite(Buffer.alloc(512, 1), 0, 512, 0)).toThrow();
  expect(() => backend.flush(() => undefined)).toThrow('after its close');
  fs.closeSync(other);
});

test('the null backend reads zeros and discards writes', async () => {
  const backend = await openBackend(servedVolume({ type: 'null', sizeBytes: 4096 }), testPorts());
  const buffer = Buffer.alloc(1024, 5);
  expect(backend.tryWrite(buffer, 0, 512, 0)).toBe(STATUS.OK);
  expect(backend.tryRead(buffer, 512, 512, 0)).toBe(STATUS.OK);
  expect([buffer[511], buffer[512], buffer[1023]]).toEqual([5, 0, 0]);
  expect(await promised(backend).read(buffer, 0, 512, 512)).toBe(STATUS.OK);
  expect(buffer.equals(Buffer.alloc(1024))).toBe(true);
  expect(await promised(backend).extents(0, 4096)).toEqual([8, EXTENT.HOLE]);
  await backend.close();
});
