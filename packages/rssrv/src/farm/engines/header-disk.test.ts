// Tests the header of a shared disk in memory: torn slots, damage, a disk that hangs or fails, two servers with one name.
// header-paxos.test.ts tests the consensus, command.test.ts real disks.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, it } from 'vitest';
import { type FarmRecord, firstRecord, taken } from '../farm-record.ts';
import { DISK_CALLS_MAX, DISK_RECORD_MAX_BYTES, ENGINE_CALL_MS } from '../limits.ts';
import { DiskHeader, type HeaderFile } from './header-disk.ts';
import { decodeFrame, encodeFrame, HEADER_BYTES, KIND, noteAt, SLOT_BYTES, slotAt, TABLE_BYTES } from './header-format.ts';

const OWNERS = ['big-9', 'big-8'];
const FIRST = firstRecord(OWNERS, 1);
const DISK = '00112233445566778899aabbccddeeff';
const SECTOR_BYTES = 512;

/** A disk in memory, with a hook before each I/O. */
class MemoryDisk implements HeaderFile {
  readonly bytes = Buffer.alloc(HEADER_BYTES);
  before: (what: 'read' | 'write', positionBytes: number) => Promise<void> | void = () => undefined;

  async read(positionBytes: number, lengthBytes: number, spare?: Buffer | null): Promise<Buffer> {
    const target = spare?.length === lengthBytes ? spare : Buffer.alloc(lengthBytes);
    // The disk owns the buffer until the read ends.
    target.fill(0xff);
    await this.before('read', positionBytes);
    this.bytes.copy(target, 0, positionBytes, positionBytes + lengthBytes);
    return target;
  }

  async write(positionBytes: number, bytes: Buffer): Promise<void> {
    await this.before('write', positionBytes);
    bytes.copy(this.bytes, positionBytes);
  }

  async close(): Promise<void> {}
}

let disk: MemoryDisk;
let clock: FakeClock;

beforeEach(() => {
  disk = new MemoryDisk();
  clock = new FakeClock();
  encodeFrame({ disk: DISK, kind: KIND.table, server: 0 }, 1, JSON.stringify({ servers: OWNERS, first: FIRST }), TABLE_BYTES)!.copy(
    disk.bytes,
  );
});

function header(server = 'big-9'): DiskHeader {
  return new DiskHeader('/dev/disk', server, { clock, random: () => 0, open: async () => disk });
}

function next(record: FarmRecord, server = 'big-9'): FarmRecord {
  return { ...taken(record, server, 'client', 2)!, writers: [] };
}

function sequenceOf(server: number, slot: number): number | string {
  const frame = decodeFrame(disk.bytes.subarray(slotAt(server, slot), slotAt(server, slot) + SLOT_BYTES), {
    disk: DISK,
    kind: KIND.register,
    server,
  });
  return typeof frame === 'string' ? frame : frame.sequence;
}

/** Advances the clock, and resolves with the outcome of a call. */
async function late<T>(call: Promise<T>): Promise<unknown> {
  const outcome = call.catch((thrown: unknown) => thrown);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(ENGINE_CALL_MS);
  return await outcome;
}

it('all slots and notes lie in the first MiB, behind the table, and none overlaps another', () => {
  const places = [[0, TABLE_BYTES]];
  for (let server = 0; server < 16; server++)
    places.push([slotAt(server, 0), SLOT_BYTES], [slotAt(server, 1), SLOT_BYTES], [noteAt(server), 4_096]);
  let end = 0;
  for (const [at, length] of places) {
    expect(at).toBe(end);
    expect(at! % 4_096).toBe(0);
    end += length!;
  }
  expect(end).toBe(HEADER_BYTES);
});

it('a register has room for two records of the largest size', () => {
  const record = { ...FIRST, owners: ['x'.repeat(DISK_RECORD_MAX_BYTES - JSON.stringify({ ...FIRST, owners: [''] }).length)] };
  const value = { by: 15, record };
  const most = Number.MAX_SAFE_INTEGER;
  const text = JSON.stringify({ writer: 'w'.repeat(36), decided: value, base: most, promised: most, accepted: most, value });
  expect(encodeFrame({ disk: DISK, kind: KIND.register, server: 15 }, most, text, SLOT_BYTES)).not.toBe(null);
});

it('a frame whose last sectors are old, at any sector, is torn', () => {
  const place = { disk: DISK, kind: KIND.register, server: 0 };
  const [old, fresh] = [3, 5].map(
    (sequence) => encodeFrame(place, sequence, JSON.stringify({ text: `${sequence}`.repeat(9_000) }), SLOT_BYTES)!,
  );
  for (let at = SECTOR_BYTES; at < 9_000; at += SECTOR_BYTES) {
    expect(decodeFrame(Buffer.concat([fresh!.subarray(0, at), old!.subarray(at)]), place)).toBe('torn');
    expect(decodeFrame(Buffer.concat([old!.subarray(0, at), fresh!.subarray(at)]), place)).toBe('torn');
  }
  expect(decodeFrame(fresh!, place)).toMatchObject({ sequence: 5 });
  expect(decodeFrame(fresh!, { ...place, disk: 'ff'.repeat(16) })).toBe('torn');
  expect(decodeFrame(fresh!, { ...place, server: 1 })).toBe('torn');
});

it('a torn slot counts as a write that did not happen, and is the next one to be written', async () => {
  const one = header();
  const second = next(FIRST);
  expect(await one.swap(FIRST, second)).toBe(true);
  expect([sequenceOf(0, 0), sequenceOf(0, 1)]).toEqual([2, 3]);
  // The last write, which contained the decided record, is torn now. The accepted value has survived, and is decided again.
  disk.bytes.fill(1, slotAt(0, 1) + 100, slotAt(0, 1) + 200);
  expect((await header('big-8').look()).record).toEqual(FIRST);
  expect((await header().look()).record).toEqual(second);
  expect([sequenceOf(0, 0), sequenceOf(0, 1)]).toEqual([4, 5]);
});

it('a register whose slots are both damaged is an error, and so is one of another release', async () => {
  const one = header();
  const second = next(FIRST);
  await one.swap(FIRST, second);
  const whole = Buffer.from(disk.bytes);
  for (const slot of [0, 1]) disk.bytes.fill(1, slotAt(0, slot) + 100, slotAt(0, slot) + 200);
  await expect(header('big-8').look()).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('damaged register') });
  whole.copy(disk.bytes);
  encodeFrame({ disk: DISK, kind: KIND.register, server: 0 }, 5, '{"colour":"blue"}', SLOT_BYTES)!.copy(disk.bytes, slotAt(0, 1));
  await expect(header('big-8').look()).rejects.toThrow('install the same release');
});

it('a slot that is being written is read again', async () => {
  const one = header();
  await one.swap(FIRST, next(FIRST));
  const at = slotAt(0, 1);
  const whole = Buffer.from(disk.bytes.subarray(at, at + SLOT_BYTES));
  disk.bytes.fill(1, at + 100, at + 200);
  let reads = 0;
  disk.before = (_, position) => {
    if (position === slotAt(0, 0) && ++reads === 2) whole.copy(disk.bytes, at);
  };
  expect((await header('big-8').look()).record).toEqual(next(FIRST));
});

it('a look takes one read once the table is known, and reads again what was being written', async () => {
  const one = header('big-8');
  await one.look();
  await header().swap(FIRST, next(FIRST));
  const reads: number[] = [];
  disk.before = (_, position) => void reads.push(position);
  expect((await one.look()).record).toEqual(next(FIRST));
  expect(reads).toEqual([0]);
  // The sixth write, which contains the decided record, is in slot 0.
  await header().swap(next(FIRST), next(next(FIRST)));
  const at = slotAt(0, 0);
  const last = Buffer.from(disk.bytes.subarray(at, at + SLOT_BYTES));
  disk.bytes.fill(1, at + 100, at + 200);
  disk.before = (_, position) => {
    if (position === at) last.copy(disk.bytes, at);
  };
  expect((await one.look()).record).toEqual(next(next(FIRST)));
});

it('a look that has written reads again what another server has decided meanwhile', async () => {
  const [one, other] = [header(), header('big-8')];
  const second = next(FIRST);
  let writes = 0;
  disk.before = (what) => {
    if (what === 'write' && ++writes === 3) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', errno: -5 });
  };
  await expect(one.swap(FIRST, second)).rejects.toMatchObject({ code: 'E_STORAGE' });
  const third = next(second, 'big-8');
  disk.before = async (what) => {
    if (what !== 'write') return;
    disk.before = () => undefined;
    // The first offer of this server gives way to the value that was accepted.
    expect(await other.swap(FIRST, next(FIRST, 'big-8'))).toBe(false);
    expect(await other.swap(second, third)).toBe(true);
  };
  expect((await one.look()).record).toEqual(third);
});

it('a note that this process posts during a look is not taken for one that was lost', async () => {
  const note = { generation: 0, count: 1, wants: null, refusal: null };
  await header().post(note);
  const one = header();
  await one.look();
  const read = disk.read.bind(disk);
  disk.read = async (positionBytes, lengthBytes) => {
    const bytes = await read(positionBytes, lengthBytes);
    await one.post({ ...note, count: 2 });
    return bytes;
  };
  expect((await one.look()).notes.get('big-9')).toEqual(note);
});

it('looks use one buffer in turn, which changes no earlier sight; a read that fails keeps its buffer', async () => {
  const one = header();
  const buffers = new Set<Buffer>();
  const read = disk.read.bind(disk);
  disk.read = async (positionBytes, lengthBytes, spare) => {
    const bytes = await read(positionBytes, lengthBytes, spare);
    if (lengthBytes > TABLE_BYTES) buffers.add(bytes);
    return bytes;
  };
  await one.post({ generation: 0, count: 1, wants: null, refusal: null });
  await one.look();
  const first = await one.look();
  const was = structuredClone(first);
  await header('big-8').swap(FIRST, next(FIRST, 'big-8'));
  await one.post({ generation: 0, count: 2, wants: null, refusal: null });
  expect((await one.look()).record).toEqual(next(FIRST, 'big-8'));
  expect(first).toEqual(was);
  expect(buffers.size).toBe(1);
  disk.before = () => Promise.reject(new Error('EIO'));
  await expect(one.look()).rejects.toThrow('EIO');
  disk.before = () => undefined;
  expect((await one.look()).record).toEqual(next(FIRST, 'big-8'));
  expect(buffers.size).toBe(2);
});

it('a server that the table does not have is refused, and so is a disk without a table', async () => {
  await expect(header('big-7').look()).rejects.toThrow('was prepared for big-9, big-8, not for big-7');
  disk.bytes.fill(0);
  const one = header();
  expect(await one.look()).toEqual({ record: null, notes: new Map() });
  await expect(one.swap(null, FIRST)).rejects.toThrow('is not prepared for a pool');
});

it('a disk that was prepared again is an error, never an older record', async () => {
  const one = header();
  await one.swap(FIRST, next(FIRST));
  disk.bytes.fill(0);
  await expect(one.look()).rejects.toMatchObject({ code: 'E_STORAGE' });
  encodeFrame(
    { disk: 'ff'.repeat(16), kind: KIND.table, server: 0 },
    1,
    JSON.stringify({ servers: OWNERS, first: FIRST }),
    TABLE_BYTES,
  )!.copy(disk.bytes);
  await expect(one.look()).rejects.toThrow('was prepared again');
});

it('of two processes that call themselves the same, the one whose note or register was replaced stops', async () => {
  const [one, other] = [header(), header()];
  await one.post({ generation: 0, count: 1, wants: null, refusal: null });
  await one.look();
  await other.post({ generation: 0, count: 1, wants: null, refusal: null });
  await expect(one.look()).rejects.toThrow('another process calls itself big-9');
  await one.swap(FIRST, next(FIRST));
  await other.swap(next(FIRST), next(next(FIRST)));
  await expect(one.swap(next(next(FIRST)), next(next(next(FIRST))))).rejects.toThrow('another process calls itself big-9');
});

it('a call on a disk that hangs ends in time, later calls wait for it, and calls do not pile up', async () => {
  const one = header();
  await one.look();
  let release = (): void => undefined;
  const hung = new Promise<void>((resolve) => (release = resolve));
  const second = next(FIRST);
  disk.before = (what) => (what === 'write' ? hung : undefined);
  expect(await late(one.swap(FIRST, second))).toMatchObject({ code: 'E_STORAGE' });
  expect(await late(one.look())).toMatchObject({ code: 'E_STORAGE' });
  const many = Array.from({ length: DISK_CALLS_MAX }, () => one.look().catch((thrown: unknown) => thrown));
  await expect(one.look()).rejects.toMatchObject({ code: 'E_STORAGE' });
  expect(await late(many[0]!)).toMatchObject({ code: 'E_STORAGE' });
  release();
  await Promise.all(many);
  disk.before = () => undefined;
  await new Promise((resolve) => setImmediate(resolve));
  // The swap stopped after its first write, which only promised a ballot.
  expect((await one.look()).record).toEqual(FIRST);
  expect(sequenceOf(0, 1)).toBe(1);
});

it('a swap that failed after its value was accepted is decided by the next look, and not later', async () => {
  const one = header();
  const second = next(FIRST);
  let writes = 0;
  disk.before = (what) => {
    if (what === 'write' && ++writes === 3) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', errno: -5 });
  };
  await expect(one.swap(FIRST, second)).rejects.toMatchObject({ code: 'E_STORAGE' });
  expect((await header('big-8').look()).record).toEqual(FIRST);
  expect((await one.look()).record).toEqual(second);
  expect((await header('big-8').look()).record).toEqual(second);
});

it('a reservation conflict, for which Node has no name, is E_STORAGE and says so', async () => {
  const one = header();
  disk.before = (what) => {
    if (what === 'write') throw Object.assign(new Error('Unknown system error -52'), { code: 'Unknown system error -52', errno: -52 });
  };
  await expect(one.post({ generation: 0, count: 1, wants: null, refusal: null })).rejects.toMatchObject({
    code: 'E_STORAGE',
    message: expect.stringContaining('another server has fenced it'),
  });
});

it('a record without room is refused before anything is written', async () => {
  const long = { ...next(FIRST), owners: ['x'.repeat(DISK_RECORD_MAX_BYTES)] };
  await expect(header().swap(FIRST, long)).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('has no room') });
  expect(sequenceOf(0, 1)).toBe('blank');
});

it('servers that change the record at the same time decide one record for each version', async () => {
  const pair = [header(), header('big-8')] as const;
  let seen = FIRST;
  for (let round = 0; round < 20; round++) {
    const offers = [next(seen), next(seen, 'big-8')];
    const both = Promise.all(pair.map((one, index) => one.swap(seen, offers[index]!)));
    let outcome: readonly boolean[] | null = null;
    void both.then((value) => (outcome = value));
    while (outcome === null) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(1);
    }
    const results = outcome as readonly boolean[];
    expect(results.filter(Boolean)).toHaveLength(1);
    seen = offers[results.indexOf(true)]!;
    expect((await pair[round % 2]!.look()).record).toEqual(seen);
  }
});
