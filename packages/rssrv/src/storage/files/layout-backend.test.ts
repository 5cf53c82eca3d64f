// Compares volumes over several real files with a flat model of their bytes, even if files are truncated or replaced. Other tests use fake
// files, which answer when the test says so, to check the status of a request and which files a flush syncs. Rules: G19.

import fs from 'node:fs';
import path from 'node:path';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promised, servedVolume, temporaryDirectory, type TestPorts, testPorts, WITHOUT_HOLES } from '../../testing/backend-scene.ts';
import { storageName } from './storage-identity.ts';
import { type IoDone, type PartBackend, WOULD_WAIT } from '../io/backend.ts';
import { type IoEnd, SHORT_READ } from '../io/positioned-io.ts';
import type { ServedVolume } from '../io/served-volume.ts';
import { ThreadShares } from '../io/thread-shares.ts';
import { openBackend } from '../open-backend.ts';
import { LayoutBackend } from './layout-backend.ts';
import { LayoutMap } from './layout-map.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const CHUNK_BYTES = 4096;
const PART_BYTES = 4 * CHUNK_BYTES;
const PARTS = 3;
const SIZE_BYTES = PARTS * PART_BYTES;
const SECTORS = SIZE_BYTES / SECTOR_BYTES;
let directory = '';
let volumes = 0;

beforeAll(() => {
  directory = temporaryDirectory();
});
afterAll(() => removeFolder(directory));

/** A volume over three new files. */
function newVolume(chunkBytes: number | null, fill = 0): ServedVolume {
  const folder = path.join(directory, `v${++volumes}`);
  fs.mkdirSync(folder);
  const parts = Array.from({ length: PARTS }, (_, index) => {
    const file = path.join(folder, `part${index}`);
    fs.writeFileSync(file, Buffer.alloc(PART_BYTES, fill));
    return { poolId: `pool${index}`, path: file, storage: storageName(fs.statSync(file, { bigint: true })), sizeBytes: PART_BYTES };
  });
  return servedVolume({ path: parts[0]!.path, sizeBytes: SIZE_BYTES, layout: { chunkBytes, parts } });
}

const partOf = (volume: ServedVolume, index: number): string => volume.layout?.parts[index]?.path ?? '';

const range = fc
  .tuple(fc.integer({ min: 0, max: SECTORS - 1 }), fc.integer({ min: 1, max: SECTORS }))
  .map(([lba, count]) => ({ position: lba * SECTOR_BYTES, length: Math.min(count, SECTORS - lba) * SECTOR_BYTES }));
const operation = fc.record({
  kind: fc.constantFrom('read', 'write', 'fua', 'zero', 'keep', 'discard', 'flush', 'extents'),
  at: range,
  fill: fc.integer({ min: 1, max: 255 }),
  offset: fc.integer({ min: 0, max: 100 }),
  sync: fc.boolean(),
});
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

async function compare(chunkBytes: number | null, ports: TestPorts, operations: readonly Operation[]): Promise<void> {
  const reference = Buffer.alloc(SIZE_BYTES, 7);
  const volume = newVolume(chunkBytes, 7);
  const backend = await openBackend(volume, ports);
  const io = promised(backend);
  for (const { kind, at, fill, offset, sync } of operations) {
    const { position, length } = at;
    const buffer = Buffer.alloc(offset + length + 100, fill);
    const tried = (status: Status | typeof WOULD_WAIT, pooled: () => Promise<Status>): Promise<Status> =>
      status === WOULD_WAIT ? pooled() : Promise.resolve(status);
    let status: number = STATUS.OK;
    if (kind === 'read' || kind === 'discard') {
      if (kind === 'discard') expect(await io.discard(position, length)).toBe(STATUS.OK);
      status = await tried(sync ? backend.tryRead(buffer, offset, length, position) : WOULD_WAIT, () =>
        io.read(buffer, offset, length, position),
      );
      const content = buffer.subarray(offset, offset + length);
      // A discarded sector has zeros or its old content. The model takes over the zeros that were read.
      if (kind === 'discard') for (let at = 0; at < length; at++) if (content[at] === 0) reference[position + at] = 0;
      expect(content.equals(reference.subarray(position, position + length))).toBe(true);
      expect([...buffer.subarray(0, offset), ...buffer.subarray(offset + length)].every((byte) => byte === fill)).toBe(true);
    } else if (kind === 'write' || kind === 'fua') {
      for (let index = 0; index < length; index++) buffer[offset + index] = (fill + index + (index >> 9)) & 0xff;
      status = await tried(sync && kind === 'write' ? backend.tryWrite(buffer, offset, length, position) : WOULD_WAIT, () =>
        io.write(buffer, offset, length, position, kind === 'fua'),
      );
      buffer.copy(reference, position, offset, offset + length);
    } else if (kind === 'zero' || kind === 'keep') {
      status = await io.zero(position, length, kind === 'keep', sync);
      reference.fill(0, position, position + length);
    } else if (kind === 'extents') {
      const pairs = await io.extents(position, length);
      let atBytes = position;
      for (let index = 0; index < pairs.length; index += 2) {
        const nextBytes = atBytes + pairs[index]! * SECTOR_BYTES;
        if (pairs[index + 1] === EXTENT.HOLE) expect(reference.subarray(atBytes, nextBytes).every((byte) => byte === 0)).toBe(true);
        atBytes = nextBytes;
      }
      expect(atBytes > position && atBytes <= position + length).toBe(true);
    } else {
      status = await io.flush();
    }
    expect(status).toBe(STATUS.OK);
  }
  const all = Buffer.alloc(SIZE_BYTES);
  expect(await io.read(all, 0, SIZE_BYTES, 0)).toBe(STATUS.OK);
  await backend.close();
  expect(all.equals(reference)).toBe(true);
  // Check the files: together they must have the content of the volume, distributed chunk by chunk.
  const parts = Array.from({ length: PARTS }, (_, index) => fs.readFileSync(partOf(volume, index)));
  const bytes = chunkBytes ?? PART_BYTES;
  const dealt = Array.from({ length: SIZE_BYTES / bytes }, (_, chunk) => {
    const row = Math.floor(chunk / PARTS);
    const [part, at] = chunkBytes === null ? [chunk, 0] : [chunk % PARTS, row * bytes];
    return parts[part]!.subarray(at, at + bytes);
  });
  expect(Buffer.concat(dealt).equals(reference)).toBe(true);
  expect(ports.errors).toEqual([]);
  fs.rmSync(path.dirname(partOf(volume, 0)), { recursive: true });
}

test.each([
  ['stripe', CHUNK_BYTES, {}],
  ['stripe without holes', CHUNK_BYTES, WITHOUT_HOLES],
  ['concat', null, {}],
] as const)('%s: the volume equals a plain buffer under random operations', async (_, chunkBytes, calls) => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 30 }), (operations) =>
      // The clock stands still, so that no call is slow, and `sync` alone decides whether calls run on the event loop or in the thread
      // pool.
      compare(chunkBytes, { ...testPorts(calls), clock: new FakeClock() }, operations),
    ),
    { numRuns: 60 },
  );
});

test('one truncated file makes the volume unavailable: flushes, extents, writes to its end, and the check', async () => {
  const volume = newVolume(CHUNK_BYTES);
  const ports = testPorts();
  const backend = await openBackend(volume, ports);
  const io = promised(backend);
  expect(await io.flush()).toBe(STATUS.OK);
  fs.truncateSync(partOf(volume, 1), PART_BYTES - 1);
  const look = (): Promise<string | null> => new Promise((resolve) => backend.end?.check(resolve));
  expect(await look()).toBe(SHORT_READ);
  expect(backend.end?.isCut).toBe(true);
  expect(await io.flush()).toBe(STATUS.VOLUME_UNAVAILABLE);
  await expect(io.extents(0, SIZE_BYTES)).rejects.toThrow(`Extents answered ${STATUS.VOLUME_UNAVAILABLE}`);
  expect(await io.write(Buffer.alloc(SIZE_BYTES), 0, SIZE_BYTES, 0)).toBe(STATUS.VOLUME_UNAVAILABLE);
  expect(fs.statSync(partOf(volume, 1)).size).toBe(PART_BYTES - 1);
  await backend.close();
});

test('a grown stripe is checked at its new end, and growth causes no false alarm', async () => {
  const volume = newVolume(CHUNK_BYTES);
  const backend = await openBackend(volume, testPorts());
  const io = promised(backend);
  for (let part = 0; part < PARTS; part++) fs.truncateSync(partOf(volume, part), PART_BYTES + CHUNK_BYTES);
  backend.end?.grow(SIZE_BYTES + SECTOR_BYTES);
  expect(await io.write(Buffer.alloc(SECTOR_BYTES, 5), 0, SECTOR_BYTES, SIZE_BYTES)).toBe(STATUS.OK);
  expect(fs.readFileSync(partOf(volume, 0))[PART_BYTES]).toBe(5);
  expect(await io.flush()).toBe(STATUS.OK);
  fs.truncateSync(partOf(volume, 2), PART_BYTES);
  expect(await io.flush()).toBe(STATUS.VOLUME_UNAVAILABLE);
  await backend.close();
});

test('a replaced file is not opened, and the others are closed again', async () => {
  const volume = newVolume(null);
  const copy = `${partOf(volume, 2)}.copy`;
  fs.copyFileSync(partOf(volume, 2), copy);
  fs.renameSync(copy, partOf(volume, 2));
  await expect(openBackend(volume, testPorts())).rejects.toThrow(`${partOf(volume, 2)} was replaced by another file`);
  // Looks only for descriptors of the volume's files, because the process opens and closes other files at the same time.
  const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  expect(targets.filter((target) => target.startsWith(directory))).toEqual([]);
});

/** The backend of a part that answers when the test says so. */
class ModelPart {
  readonly started: string[] = [];
  readonly ends: IoDone[] = [];
  readonly backend: PartBackend;

  constructor() {
    const start = (what: string, done: IoDone): void => {
      this.started.push(what);
      this.ends.push(done);
    };
    const capabilities = { type: 'file', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true } as const;
    const end = {
      isCut: false,
      needsCheck: false,
      grow: () => undefined,
      check: (checked: IoEnd) => {
        this.started.push('check');
        setImmediate(checked, null);
      },
    };
    const known: Partial<PartBackend> = {
      capabilities,
      end,
      write: (_source, _offset, _length, _position, _fua, done) => start('write', done),
      writePieces: (_source, _length, _position, _fua, done) => start('write', done),
      flush: (done) => start('flush', done),
    };
    this.backend = known as PartBackend;
  }

  answer(status: Status): void {
    this.ends.shift()?.(status);
  }
}

function modelled(): { parts: ModelPart[]; io: ReturnType<typeof promised> } {
  const parts = [new ModelPart(), new ModelPart()];
  const map = new LayoutMap({ chunkBytes: CHUNK_BYTES, parts: [{ sizeBytes: PART_BYTES }, { sizeBytes: PART_BYTES }] });
  const lane = new ThreadShares(16).enter('v');
  const backend = new LayoutBackend(
    parts.map((part) => part.backend),
    map,
    2 * PART_BYTES,
    lane,
    () => undefined,
  );
  return { parts, io: promised(backend) };
}

test.each([
  [STATUS.OK, STATUS.NO_SPACE, STATUS.NO_SPACE],
  [STATUS.IO_ERROR, STATUS.NO_SPACE, STATUS.IO_ERROR],
  [STATUS.NO_SPACE, STATUS.VOLUME_UNAVAILABLE, STATUS.VOLUME_UNAVAILABLE],
  [STATUS.READ_ONLY, STATUS.OK, STATUS.READ_ONLY],
])('a write that ends with %i in one file and %i in the other ends with %i, after both', async (one, other, expected) => {
  const { parts, io } = modelled();
  let ended: number | null = null;
  const written = io.write(Buffer.alloc(2 * CHUNK_BYTES), 0, 2 * CHUNK_BYTES, 0).then((status) => (ended = status));
  parts[1]!.answer(other);
  await new Promise(setImmediate);
  expect(ended).toBeNull();
  parts[0]!.answer(one);
  expect(await written).toBe(expected);
});

test('a flush syncs the files that changed, and those with a write that ended after an earlier flush had begun', async () => {
  const { parts, io } = modelled();
  const [first, second] = [parts[0]!, parts[1]!];
  const settle = async (flushed: Promise<Status>): Promise<Status> => {
    for (const part of parts) if (part.started.at(-1) === 'flush') part.answer(STATUS.OK);
    return flushed;
  };
  // The first flush syncs both files, because a killed process may have left unsynced changes in both files.
  expect(await settle(io.flush())).toBe(STATUS.OK);
  expect([first.started, second.started]).toEqual([['flush'], ['flush']]);
  const early = io.write(Buffer.alloc(512), 0, 512, 0);
  const during = io.flush();
  expect([first.started.at(-1), second.started.at(-1)]).toEqual(['check', 'check']);
  first.answer(STATUS.OK);
  expect([await early, await during]).toEqual([STATUS.OK, STATUS.OK]);
  const after = io.flush();
  expect([first.started.at(-1), second.started.at(-1)]).toEqual(['flush', 'check']);
  expect(await settle(after)).toBe(STATUS.OK);
});

test('after the sync of one file has failed, no flush succeeds any more', async () => {
  const { parts, io } = modelled();
  const flushed = io.flush();
  parts[0]!.answer(STATUS.OK);
  parts[1]!.answer(STATUS.IO_ERROR);
  expect(await flushed).toBe(STATUS.IO_ERROR);
  expect(await io.flush()).toBe(STATUS.IO_ERROR);
});
