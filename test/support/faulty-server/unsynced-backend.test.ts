// Compares unsynced writes with a model. Reads return the newest data. A flush makes all writes durable that were answered before the
// flush. After a crash of the machine, each sector has its durable content, or content that was written later. The inner storage answers
// when the test permits it.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { expectNone, expectOneOf, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Backend, type IoDone, WOULD_WAIT } from '@rsio/rssrv/storage/io/backend';
import { UnsyncedBackend } from './unsynced-backend.ts';
import { crashed, decodeRecords, encodeRecord, RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { type RecordLog, UnsyncedStore } from './unsynced-store.ts';
import type { UnsyncedPiece } from './unsynced-writes.ts';

const SECTORS = 8;

/** A log in memory, which survives the simulated end of a process. */
class MemoryLog implements RecordLog {
  bytes: Buffer;
  readonly found: readonly UnsyncedRecord[];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.found = decodeRecords(bytes).records;
  }

  append(record: UnsyncedRecord): null {
    this.bytes = Buffer.concat([this.bytes, encodeRecord(record)]);
    return null;
  }

  replace(pieces: readonly UnsyncedPiece[]): null {
    this.bytes = Buffer.concat(pieces.map((piece) => encodeRecord({ ...piece, kind: piece.data === null ? RECORD.ZERO : RECORD.WRITE })));
    return null;
  }

  close(): void {}
}

interface Pending {
  readonly isFlush: boolean;
  readonly apply: () => void;
  readonly done: IoDone;
}

/** Storage whose operations take effect when the test decides. */
class SteppedStorage implements Backend {
  readonly sizeBytes = SECTORS * SECTOR_BYTES;
  readonly capabilities = { type: 'file', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true } as const;
  readonly content = Buffer.alloc(SECTORS * SECTOR_BYTES);
  private readonly durable = Buffer.alloc(SECTORS * SECTOR_BYTES);
  pending: Pending[] = [];

  tryRead(): typeof WOULD_WAIT {
    return WOULD_WAIT;
  }

  tryWrite(): typeof WOULD_WAIT {
    return WOULD_WAIT;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.later(done, () => this.content.copy(target, offset, positionBytes, positionBytes + lengthBytes));
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    this.later(done, () => {
      for (const bytes of fua ? [this.content, this.durable] : [this.content]) {
        source.copy(bytes, positionBytes, offset, offset + lengthBytes);
      }
    });
  }

  zero(positionBytes: number, lengthBytes: number, _keepAllocated: boolean, _fua: boolean, done: IoDone): void {
    this.later(done, () => this.content.fill(0, positionBytes, positionBytes + lengthBytes));
  }

  flush(done: IoDone): void {
    this.pending.push({ isFlush: true, apply: () => this.content.copy(this.durable), done });
  }

  discard(): void {
    throw new Error('Discards do not come here');
  }

  extents(): void {
    throw new Error('Extents are not asked of the storage');
  }

  async close(): Promise<void> {}

  bring(positionBytes: number, data: Buffer): void {
    data.copy(this.content, positionBytes);
    data.copy(this.durable, positionBytes);
  }

  /** Simulates a crash of the machine, which also loses the cache of the storage. */
  crash(random: SeededRandom): void {
    for (const one of this.pending) if (random.chance(0.5)) one.apply();
    this.pending = [];
    for (let at = 0; at < this.content.length; at += SECTOR_BYTES) {
      if (random.chance(0.5)) this.durable.copy(this.content, at, at, at + SECTOR_BYTES);
    }
    this.content.copy(this.durable);
  }

  step(which: number, fails: boolean): void {
    const [one] = this.pending.splice(which % Math.max(1, this.pending.length), 1);
    if (one === undefined) return;
    const isFailed = fails && one.isFlush;
    if (!isFailed) one.apply();
    one.done(isFailed ? STATUS.IO_ERROR : STATUS.OK);
  }

  private later(done: IoDone, apply: () => void): void {
    this.pending.push({ isFlush: false, apply, done });
  }
}

interface Version {
  readonly at: number;
  readonly value: number;
}

interface Range {
  readonly first: number;
  readonly count: number;
}

/** The model: for each sector, the values that it may have. */
class Model {
  at = 0;
  readonly sectors = Array.from({ length: SECTORS }, () => ({ durable: { at: 0, value: 0 }, later: [] as Version[] }));

  current(sector: number): Version {
    const { durable, later } = this.sectors[sector]!;
    return later.at(-1) ?? durable;
  }

  written(range: Range, value: number): void {
    const version = { at: ++this.at, value };
    for (const sector of sectorsOf(range)) this.sectors[sector]!.later.push(version);
  }

  durablyWritten(range: Range, value: number): void {
    const durable = { at: ++this.at, value };
    for (const sector of sectorsOf(range)) this.sectors[sector] = { durable, later: [] };
  }

  flushed(upTo: number): void {
    for (const sector of this.sectors) {
      const covered = sector.later.filter(({ at }) => at <= upTo).at(-1);
      if (covered === undefined) continue;
      sector.durable = covered;
      sector.later = sector.later.filter(({ at }) => at > upTo);
    }
  }

  allowed(sector: number): number[] {
    const { durable, later } = this.sectors[sector]!;
    return [durable, ...later].map(({ value }) => value);
  }
}

function sectorsOf({ first, count }: Range): number[] {
  return Array.from({ length: Math.min(count, SECTORS - first) }, (_, index) => first + index);
}

function bytesOf(range: Range, value: number): Buffer {
  const bytes = Buffer.alloc(sectorsOf(range).length * SECTOR_BYTES);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(value, at);
  return bytes;
}

/** Returns the value of each sector. Throws if a sector is torn. */
function valuesOf(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / SECTOR_BYTES }, (_, index) => {
    const sector = bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
    const value = sector.readUInt32BE(0);
    expectSame(sector.equals(bytesOf({ first: 0, count: 1 }, value)), true);
    return value;
  });
}

class Scene {
  readonly storage = new SteppedStorage();
  readonly model = new Model();
  log = new MemoryLog(Buffer.alloc(0));
  backend = this.opened();
  private value = 0;
  /** FUA writes that have not been answered yet. */
  private outside: { readonly range: Range; readonly value: number; readonly backend: UnsyncedBackend }[] = [];

  opened(): UnsyncedBackend {
    this.log = new MemoryLog(this.log.bytes);
    return new UnsyncedBackend(
      this.storage,
      new UnsyncedStore(this.log),
      () => undefined,
      () => undefined,
    );
  }

  /** Returns true if no running write overlaps the range, because overlapping writes never run at the same time. */
  private isFree(range: Range): boolean {
    const wanted = new Set(sectorsOf(range));
    return !this.outside.some((other) => sectorsOf(other.range).some((sector) => wanted.has(sector)));
  }

  async write(range: Range, isAtOnce: boolean): Promise<void> {
    if (!this.isFree(range)) return;
    const value = ++this.value;
    const bytes = bytesOf(range, value);
    if (isAtOnce) {
      expectSame(this.backend.tryWrite(bytes, 0, bytes.length, range.first * SECTOR_BYTES), STATUS.OK);
    } else {
      const status = await new Promise<Status>((done) =>
        this.backend.write(bytes, 0, bytes.length, range.first * SECTOR_BYTES, false, done),
      );
      expectSame(status, STATUS.OK);
    }
    bytes.fill(0xee);
    this.model.written(range, value);
  }

  async zero(range: Range): Promise<void> {
    if (!this.isFree(range)) return;
    const length = sectorsOf(range).length * SECTOR_BYTES;
    await new Promise<Status>((done) => this.backend.zero(range.first * SECTOR_BYTES, length, false, false, done));
    this.model.written(range, 0);
  }

  writeDurably(range: Range): void {
    if (!this.isFree(range)) return;
    const value = ++this.value;
    const bytes = bytesOf(range, value);
    const entry = { range, value, backend: this.backend };
    this.outside.push(entry);
    this.backend.write(bytes, 0, bytes.length, range.first * SECTOR_BYTES, true, (status) => {
      if (!this.outside.includes(entry)) return;
      expectSame(status, STATUS.OK);
      this.outside.splice(this.outside.indexOf(entry), 1);
      this.model.durablyWritten(range, value);
    });
  }

  flush(): void {
    const upTo = this.model.at;
    const { backend } = this;
    backend.flush((status) => {
      if (status === STATUS.OK && backend === this.backend) this.model.flushed(upTo);
    });
  }

  /**
   * Starts a read, which runs until the storage answers. The read may return any value that was the newest value at some time since it
   * started.
   */
  read(range: Range): void {
    const target = Buffer.alloc(sectorsOf(range).length * SECTOR_BYTES);
    const before = sectorsOf(range).map((sector) => this.model.current(sector));
    const { backend } = this;
    backend.read(target, 0, target.length, range.first * SECTOR_BYTES, () => {
      if (backend !== this.backend) return;
      for (const [index, sector] of sectorsOf(range).entries()) {
        const { at, value } = before[index]!;
        const { durable, later } = this.model.sectors[sector]!;
        const since = [durable, ...later].filter((version) => version.at >= at).map((version) => version.value);
        const beside = this.outside.filter((other) => sectorsOf(other.range).includes(sector)).map((other) => other.value);
        expectOneOf([value, ...since, ...beside], valuesOf(target)[index]);
      }
    });
  }

  /** Completes all operations, and compares the content with the model. */
  async settle(): Promise<void> {
    for (let left = 200; left > 0 && this.storage.pending.length > 0; left--) {
      this.storage.step(0, false);
      await turn();
    }
    expectNone(this.storage.pending);
    const target = Buffer.alloc(SECTORS * SECTOR_BYTES);
    const read = new Promise<Status>((done) => this.backend.read(target, 0, target.length, 0, done));
    this.storage.step(0, false);
    await read;
    expect(valuesOf(target)).toEqual(this.model.sectors.map((_, sector) => this.model.current(sector).value));
  }

  /**
   * Kills the process. Each pending operation of the storage takes effect or does not, at random. The next process continues with the log
   * and the storage.
   */
  async kill(random: SeededRandom): Promise<void> {
    for (const one of this.storage.pending) if (random.chance(0.5)) one.apply();
    this.storage.pending = [];
    const doubtful = this.outside;
    this.outside = [];
    this.backend = this.opened();
    const target = Buffer.alloc(SECTORS * SECTOR_BYTES);
    const read = new Promise<Status>((done) => this.backend.read(target, 0, target.length, 0, done));
    this.storage.step(0, false);
    await read;
    const values = valuesOf(target);
    for (let sector = 0; sector < SECTORS; sector++) {
      const unanswered = doubtful.find(({ range }) => sectorsOf(range).includes(sector));
      const current = this.model.current(sector);
      if (unanswered !== undefined && values[sector] !== current.value) expectSame(values[sector], unanswered.value);
      else expectSame(values[sector], current.value);
      // The storage may have content that no read has returned yet.
      if (unanswered !== undefined) {
        this.model.sectors[sector]!.later.push({ at: ++this.model.at, value: unanswered.value });
        if (values[sector] === current.value) this.model.sectors[sector]!.later.push({ ...current, at: ++this.model.at });
      }
    }
  }

  /** Crashes the machine, which ends all processes. */
  crash(random: SeededRandom): void {
    this.storage.crash(random);
    for (const { positionBytes, data } of crashed(decodeRecords(this.log.bytes).records, () => random.unit())) {
      this.storage.bring(positionBytes, data);
    }
    const values = valuesOf(this.storage.content);
    for (const [sector, value] of values.entries()) {
      const beside = this.outside.filter(({ range }) => sectorsOf(range).includes(sector)).map((other) => other.value);
      expect([...this.model.allowed(sector), ...beside]).toContain(value);
      this.model.sectors[sector] = { durable: { at: ++this.model.at, value }, later: [] };
    }
    this.outside = [];
    this.log = new MemoryLog(Buffer.alloc(0));
    this.backend = this.opened();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

const range = fc.record({ first: fc.nat(SECTORS - 1), count: fc.integer({ min: 1, max: SECTORS }) });
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('write' as const), range, isAtOnce: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('fua' as const), range }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('zero' as const), range }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('flush' as const) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('read' as const), range }) },
  { weight: 12, arbitrary: fc.record({ what: fc.constant('step' as const), which: fc.nat(), fails: fc.integer({ min: 0, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('kill' as const), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('crash' as const), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('settle' as const) }) },
);

test('reads return the newest data, and a crash leaves the flushed content or a later one, whatever operations are running', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const scene = new Scene();
      for (const one of actions) {
        if (one.what === 'write') await scene.write(one.range, one.isAtOnce);
        else if (one.what === 'fua') scene.writeDurably(one.range);
        else if (one.what === 'zero') await scene.zero(one.range);
        else if (one.what === 'flush') scene.flush();
        else if (one.what === 'read') scene.read(one.range);
        else if (one.what === 'step') scene.storage.step(one.which, one.fails === 0);
        else if (one.what === 'kill') await scene.kill(new SeededRandom(one.seed));
        else if (one.what === 'crash') scene.crash(new SeededRandom(one.seed));
        else await scene.settle();
        await turn();
      }
      await scene.settle();
    }),
    { numRuns: 1_500 },
  );
});

/** Simulates a crash of the machine that loses every unsynced write. Returns the values of the sectors after the crash. */
function allLost(scene: Scene): number[] {
  expect(crashed(decodeRecords(scene.log.bytes).records, () => 0)).toEqual([]);
  return valuesOf(scene.storage.content);
}

test('a flush makes durable what was answered before it was requested, and nothing that was answered later', async () => {
  const scene = new Scene();
  await scene.write({ first: 0, count: 2 }, true);
  scene.flush();
  await scene.write({ first: 1, count: 2 }, true);
  while (scene.storage.pending.length > 0) {
    scene.storage.step(0, false);
    await turn();
  }
  expect(allLost(scene)).toEqual([1, 1, 0, 0, 0, 0, 0, 0]);
  expect(scene.model.sectors.map((_, sector) => scene.model.allowed(sector))).toEqual([
    [1],
    [1, 2],
    [0, 2],
    ...Array.from({ length: 5 }, () => [0]),
  ]);
});

test('an unsynced write does not reach the storage; a FUA write reaches it alone', async () => {
  const scene = new Scene();
  await scene.write({ first: 0, count: 4 }, false);
  expect(allLost(scene)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  scene.writeDurably({ first: 1, count: 1 });
  scene.storage.step(0, false);
  expect(allLost(scene)).toEqual([0, 2, 0, 0, 0, 0, 0, 0]);
  await scene.settle();
});

test('the surviving data depends on the seed: everything, nothing, or parts of one write', async () => {
  const scene = new Scene();
  await scene.write({ first: 0, count: SECTORS }, true);
  const { records } = decodeRecords(scene.log.bytes);
  const counts = new Set(
    Array.from({ length: 100 }, (_, seed) => {
      const random = new SeededRandom(seed);
      return crashed(records, () => random.unit()).length;
    }),
  );
  expect(counts).toContain(0);
  expect(counts).toContain(SECTORS);
  expect(counts.size).toBeGreaterThan(4);
});

test('a log record that a kill truncated at any byte is ignored', () => {
  const whole = encodeRecord({ kind: RECORD.WRITE, positionBytes: 0, lengthBytes: 512, data: bytesOf({ first: 0, count: 1 }, 7) });
  const next = encodeRecord({ kind: RECORD.ZERO, positionBytes: 2 ** 47, lengthBytes: 2 ** 40, data: null });
  const both = Buffer.concat([whole, next]);
  for (let length = 0; length <= both.length; length++) {
    const { records, goodBytes } = decodeRecords(both.subarray(0, length));
    expect(records).toHaveLength(length < whole.length ? 0 : length < both.length ? 1 : 2);
    expect(goodBytes).toBe(length < whole.length ? 0 : length < both.length ? whole.length : both.length);
  }
  expect(decodeRecords(both).records[1]).toEqual({ kind: RECORD.ZERO, positionBytes: 2 ** 47, lengthBytes: 2 ** 40, data: null });
});

test.each([
  ['whose writes cannot be removed from the log is reported here', false, ['flush EIO']],
  ['that the storage refuses is reported by the storage alone', true, []],
])('a flush %s, and it fails', async (_, isRefused, expected) => {
  const storage = new SteppedStorage();
  const log: RecordLog = Object.assign(new MemoryLog(Buffer.alloc(0)), { replace: () => 'EIO' });
  const errors: string[] = [];
  const backend = new UnsyncedBackend(
    storage,
    new UnsyncedStore(log),
    (operation, errno) => errors.push(`${operation} ${errno}`),
    () => undefined,
  );
  const status = new Promise<Status>((done) => backend.flush(done));
  await turn();
  storage.step(0, isRefused);
  expect(await status).toBe(STATUS.IO_ERROR);
  expect(errors).toEqual(expected);
});
