// Requests that are frames, and wrong all the same: each is answered with a status (and a sentence where there is room for one), the
// path stays, and the next request on it is served. What closes the path is in frames.test.ts.

import { renameSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { COUNT_MAX, HANDLES_PER_SESSION_MAX, IO_MAX_SECTORS, LBA_MAX, SECTOR_BYTES } from '@rsio/protocol/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import {
  decodeExtentsAnswer,
  decodeFailureAnswer,
  decodeListAnswer,
  encodeExtentsRequest,
  encodeOpenRequest,
} from '@rsio/protocol/wire/message-codec';
import { IOCTL } from '@rsio/protocol/wire/messages';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { useLab } from '../support/lab.ts';
import type { RawClient, RawFrame, RawRequest } from '../support/raw-peer.ts';
import { Scene, VOLUME_SECTORS } from '../support/scene.ts';

const BIG_SECTORS = (64 * 1024 * 1024) / SECTOR_BYTES;
const END = VOLUME_SECTORS;

const lab = useLab('file');
let scene: Scene;
let client: RawClient;
const handles: Record<string, number> = {};

beforeAll(async () => {
  scene = await Scene.begin(lab);
  client = await scene.login();
  for (const name of ['plain', 'big', 'blocks', 'constant', 'file']) handles[name] = (await client.open(name)).handle;
  handles['asked read-only'] = (await client.open('other', true)).handle;
  const closed = await client.open('other', true);
  expect(await statusOf({ op: OP.CLOSE, handle: closed.handle })).toBe('OK');
  handles['closed'] = closed.handle;
  handles['never opened'] = 500;
});

afterAll(() => scene.servesNewcomers());

/** The path that brought the wrong request is as good as before. */
afterEach(async () => {
  await client.verify(handles['plain'] ?? 0, 64, 8);
  expect(client.frames.filter(({ op }) => op !== OP.PING)).toEqual([]);
  expect(client.ending).toBeNull();
  await scene.wellBehaved();
});

function bodyFor({ op, count = 0 }: RawRequest): Partial<RawRequest> {
  return op === OP.WRITE ? { body: Buffer.alloc(count * SECTOR_BYTES, 3) } : {};
}

async function statusOf(request: RawRequest): Promise<string> {
  const answer = await client.call({ ...bodyFor(request), ...request });
  return statusEntry(answer.handle).name;
}

function sentenceOf(answer: RawFrame): string {
  return decodeFailureAnswer(answer.body, 0, answer.body.length).sentence;
}

type Case = readonly [what: string, volume: string, request: RawRequest, status: keyof typeof STATUS];

function expectStatuses(cases: readonly Case[]): void {
  it.each(cases)('%s', async (_what, volume, request, status) => {
    expect(await statusOf({ handle: handles[volume] ?? 0, ...request })).toBe(status);
  });
}

describe('counts', () => {
  expectStatuses([
    ['READ of nothing', 'big', { op: OP.READ, count: 0 }, 'BAD_REQUEST'],
    ['WRITE of nothing', 'big', { op: OP.WRITE, count: 0 }, 'BAD_REQUEST'],
    ['ZERO of nothing', 'big', { op: OP.ZERO, count: 0 }, 'BAD_REQUEST'],
    ['DISCARD of nothing', 'big', { op: OP.DISCARD, flags: FLAG.WIDE, count: 0 }, 'BAD_REQUEST'],
    ['READ of the most', 'big', { op: OP.READ, count: IO_MAX_SECTORS }, 'OK'],
    ['WRITE of the most', 'big', { op: OP.WRITE, count: IO_MAX_SECTORS }, 'OK'],
    ['READ of one sector more', 'big', { op: OP.READ, count: IO_MAX_SECTORS + 1 }, 'BAD_REQUEST'],
    ['READ of all a count can say', 'big', { op: OP.READ, count: COUNT_MAX }, 'BAD_REQUEST'],
    ['ZERO of all a count can say', 'big', { op: OP.ZERO, count: COUNT_MAX }, 'OK'],
    ['DISCARD in MiB of all a count can say', 'big', { op: OP.DISCARD, flags: FLAG.WIDE, count: COUNT_MAX }, 'PAST_END'],
    ['FLUSH of a range', 'big', { op: OP.FLUSH, lba: 1, count: 1 }, 'BAD_REQUEST'],
    ['FLUSH', 'big', { op: OP.FLUSH }, 'OK'],
  ]);
});

describe('the end of the volume', () => {
  const ops = { READ: OP.READ, WRITE: OP.WRITE, ZERO: OP.ZERO, DISCARD: OP.DISCARD };
  for (const [name, op] of Object.entries(ops)) {
    expectStatuses([
      [`${name} of the last sector`, 'plain', { op, lba: END - 1, count: 1 }, 'OK'],
      [`${name} that goes one sector past`, 'plain', { op, lba: END - 1, count: 2 }, 'PAST_END'],
      [`${name} behind the last sector`, 'plain', { op, lba: END, count: 1 }, 'PAST_END'],
      [`${name} at the last sector there can be`, 'plain', { op, lba: LBA_MAX, count: 1 }, 'PAST_END'],
    ]);
  }
  expectStatuses([
    ['ZERO in MiB up to the end', 'big', { op: OP.ZERO, flags: FLAG.WIDE, count: 64 }, 'OK'],
    ['ZERO in MiB past it', 'big', { op: OP.ZERO, flags: FLAG.WIDE, lba: 1, count: 64 }, 'PAST_END'],
  ]);
});

describe('alignment, on a volume of 4096-byte blocks', () => {
  expectStatuses([
    ['READ of a block', 'blocks', { op: OP.READ, lba: 8, count: 8 }, 'OK'],
    ['READ that begins within one', 'blocks', { op: OP.READ, lba: 1, count: 8 }, 'MISALIGNED'],
    ['READ that ends within one', 'blocks', { op: OP.READ, count: 7 }, 'MISALIGNED'],
    ['WRITE of a block', 'blocks', { op: OP.WRITE, count: 8 }, 'OK'],
    ['WRITE of a sector', 'blocks', { op: OP.WRITE, count: 1 }, 'MISALIGNED'],
    ['ZERO that begins within one', 'blocks', { op: OP.ZERO, lba: 4, count: 8 }, 'MISALIGNED'],
    ['DISCARD in MiB that begins within one', 'blocks', { op: OP.DISCARD, flags: FLAG.WIDE, lba: 4, count: 1 }, 'MISALIGNED'],
  ]);
});

describe('volumes that are only read', () => {
  for (const volume of ['constant', 'asked read-only']) {
    expectStatuses([
      [`${volume}: WRITE`, volume, { op: OP.WRITE, count: 1 }, 'READ_ONLY'],
      [`${volume}: WRITE of the last sector`, volume, { op: OP.WRITE, lba: END - 1, count: 1 }, 'READ_ONLY'],
      [`${volume}: ZERO`, volume, { op: OP.ZERO, count: 1 }, 'READ_ONLY'],
      [`${volume}: DISCARD`, volume, { op: OP.DISCARD, count: 1 }, 'READ_ONLY'],
      [`${volume}: READ`, volume, { op: OP.READ, count: 1 }, 'OK'],
    ]);
  }
  it('nothing was written', async () => {
    const read = await client.call({ op: OP.READ, handle: handles['constant'] ?? 0, count: 1 });
    expect(read.body.equals(Buffer.alloc(SECTOR_BYTES))).toBe(true);
  });
});

describe('flags that mean nothing', () => {
  expectStatuses([
    ['READ with FUA', 'plain', { op: OP.READ, flags: FLAG.FUA, count: 1 }, 'BAD_REQUEST'],
    ['READ with MORE', 'plain', { op: OP.READ, flags: FLAG.MORE, count: 1 }, 'BAD_REQUEST'],
    ['READ with bit 7', 'plain', { op: OP.READ, flags: 0x80, count: 1 }, 'BAD_REQUEST'],
    ['WRITE with WIDE', 'plain', { op: OP.WRITE, flags: FLAG.WIDE, count: 1 }, 'BAD_REQUEST'],
    ['WRITE with NO_HOLE', 'plain', { op: OP.WRITE, flags: FLAG.NO_HOLE, count: 1 }, 'BAD_REQUEST'],
    ['WRITE with FUA', 'plain', { op: OP.WRITE, flags: FLAG.FUA, count: 1 }, 'OK'],
    ['DISCARD with NO_HOLE', 'plain', { op: OP.DISCARD, flags: FLAG.NO_HOLE, count: 1 }, 'BAD_REQUEST'],
    ['ZERO with bit 4', 'plain', { op: OP.ZERO, flags: 0x10, count: 1 }, 'BAD_REQUEST'],
    ['FLUSH with FUA', 'plain', { op: OP.FLUSH, flags: FLAG.FUA }, 'BAD_REQUEST'],
    ['LIST with MORE', 'plain', { op: OP.LIST, flags: FLAG.MORE }, 'BAD_REQUEST'],
    ['CLOSE with bit 7', 'plain', { op: OP.CLOSE, flags: 0x80 }, 'BAD_REQUEST'],
    ['IOCTL with FUA', 'plain', { op: OP.IOCTL, aux: IOCTL.IDENTIFY, flags: FLAG.FUA }, 'BAD_REQUEST'],
  ]);
});

describe('handles', () => {
  for (const volume of ['never opened', 'closed', 'no such: 0']) {
    expectStatuses([
      [`${volume}: READ`, volume, { op: OP.READ, count: 1 }, 'STALE'],
      [`${volume}: WRITE`, volume, { op: OP.WRITE, count: 1 }, 'STALE'],
      [`${volume}: FLUSH`, volume, { op: OP.FLUSH }, 'STALE'],
      [`${volume}: ZERO`, volume, { op: OP.ZERO, count: 1 }, 'STALE'],
      [`${volume}: IOCTL`, volume, { op: OP.IOCTL, aux: IOCTL.IDENTIFY }, 'STALE'],
      [`${volume}: CLOSE`, volume, { op: OP.CLOSE }, 'STALE'],
    ]);
  }

  it('CLOSE twice at a time: once it closes', async () => {
    const { handle } = await client.open('other', true);
    client.request({ op: OP.CLOSE, handle, slot: 20, seq: 1 }, { op: OP.CLOSE, handle, slot: 21, seq: 1 });
    const statuses = [(await client.answer(20)).handle, (await client.answer(21)).handle];
    expect(statuses.filter((status) => status === STATUS.OK)).toHaveLength(1);
    expect(await statusOf({ op: OP.READ, handle, count: 1 })).toBe('STALE');
  });

  it('another session cannot use them', async () => {
    const mars = await scene.login('mars');
    const answer = await mars.call({ op: OP.READ, handle: handles['plain'] ?? 0, count: 1 });
    expect(statusEntry(answer.handle).name).toBe('STALE');
    mars.close();
  });

  it('1,024 are open at a time, one more is refused, and closing one makes room', async () => {
    const mars = await scene.login('mars');
    const body = encodeOpenRequest({ name: 'constant', universe: 0, readonly: true });
    for (let round = 1; round <= HANDLES_PER_SESSION_MAX / 128; round++) {
      mars.request(...Array.from({ length: 128 }, (_, slot) => ({ op: OP.OPEN, slot, seq: round, body })));
      for (let slot = 0; slot < 128; slot++) expect((await mars.answer(slot)).handle).toBe(STATUS.OK);
    }
    const over = await mars.call({ op: OP.OPEN, slot: 200, body });
    expect(statusEntry(over.handle).name).toBe('TOO_MANY_HANDLES');
    expect(sentenceOf(over)).toBe('The session has too many open handles');
    expect((await mars.call({ op: OP.CLOSE, handle: 7, slot: 200 })).handle).toBe(STATUS.OK);
    expect((await mars.call({ op: OP.OPEN, slot: 200, body })).handle).toBe(STATUS.OK);
    mars.close();
  });
});

describe('OPEN', () => {
  it('a volume that is for other clients is not shown, and as unknown as one that is not there', async () => {
    const list = await client.call({ op: OP.LIST });
    const names = decodeListAnswer(list.body, 0, list.body.length).volumes.map(({ name }) => name);
    expect(names).toContain('plain');
    expect(names).not.toContain('oracle');
    for (const name of ['oracle', 'nothing']) {
      const answer = await client.call({ op: OP.OPEN, body: encodeOpenRequest({ name, universe: 0, readonly: true }) });
      expect(statusEntry(answer.handle).name).toBe('UNKNOWN_VOLUME');
      expect(sentenceOf(answer)).toBe(`Server big-9 has no volume ${name} for this client`);
    }
  });

  it('another universe', async () => {
    expect(await statusOf({ op: OP.OPEN, body: encodeOpenRequest({ name: 'plain', universe: 1, readonly: false }) })).toBe(
      'UNKNOWN_VOLUME',
    );
  });

  it('a held volume: the refusal names the holder', async () => {
    const mars = await scene.login('mars');
    const answer = await mars.call({ op: OP.OPEN, body: encodeOpenRequest({ name: 'plain', universe: 0, readonly: true }) });
    expect(statusEntry(answer.handle).name).toBe('HELD');
    expect(sentenceOf(answer)).toMatch(/^Volume plain is held by venus at 127\..* since .*: detach it there/);
    mars.close();
  });

  it('who writes does not let readers in by reading too', async () => {
    const reader = await client.open('plain', true);
    const mars = await scene.login('mars');
    const answer = await mars.call({ op: OP.OPEN, body: encodeOpenRequest({ name: 'plain', universe: 0, readonly: true }) });
    expect(statusEntry(answer.handle).name).toBe('HELD');
    mars.close();
    expect(await statusOf({ op: OP.CLOSE, handle: reader.handle })).toBe('OK');
  });

  it('a second OPEN that fails does not end the hold of the first', async () => {
    const first = await client.open('moving');
    const file = scene.host.file('storage/moving.img');
    renameSync(file, `${file}.away`);
    try {
      expect(await statusOf({ op: OP.OPEN, body: encodeOpenRequest({ name: 'moving', universe: 0, readonly: false }) })).toBe(
        'VOLUME_UNAVAILABLE',
      );
    } finally {
      renameSync(`${file}.away`, file);
    }
    const mars = await scene.login('mars');
    const answer = await mars.call({ op: OP.OPEN, body: encodeOpenRequest({ name: 'moving', universe: 0, readonly: false }) });
    expect(statusEntry(answer.handle).name).toBe('HELD');
    mars.close();
    await client.verify(first.handle, 0, 8);
    expect(await statusOf({ op: OP.CLOSE, handle: first.handle })).toBe('OK');
  });
});

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const packed = (name: string): Buffer => Buffer.concat([hex('83 a4 6e616d65 d9'), Buffer.from([name.length]), Buffer.from(name)]);
const openOf = (name: string): Buffer => Buffer.concat([packed(name), hex('a8 756e697665727365 00 a8 726561646f6e6c79 c3')]);

describe('messages that are no messages', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a number', hex('07')],
    ['a list', hex('90')],
    ['an empty map', hex('80')],
    ['a map cut short', openOf('plain').subarray(0, 20)],
    ['a map with a byte behind it', Buffer.concat([openOf('plain'), hex('00')])],
    ['a map that claims 2^32 - 1 entries', hex('df ffffffff')],
    ['a list that claims 2^32 - 1 entries', hex('81 a46e616d65 dd ffffffff')],
    ['text that claims 4 GiB', hex('81 a46e616d65 db ffffffff')],
    ['bytes that claim 4 GiB', hex('81 a46e616d65 c6 ffffffff')],
    ['a time-stamp extension', hex('81 a46e616d65 d6ff 5f000000')],
    ['an extension that makes an error', hex('81 a46e616d65 c7 03 65 93 a0 a0 a0')],
    ['a fixed extension of 16 bytes', Buffer.concat([hex('81 a46e616d65 d8 70'), Buffer.alloc(16)])],
    ['a record definition', hex('d4 72 40 91 a161 01')],
    ['the unused type', hex('c1')],
    ['lists in lists', Buffer.alloc(60_000, 0x91)],
    ['keys that are no text', hex('83 01 02 03 04 05 06')],
    ['a name with a slash', openOf('../../etc/passwd')],
    ['the name ..', openOf('..')],
    ['a name of 64 characters', openOf('n'.repeat(64))],
    ['a name with control characters', openOf('\u001b[2Jplain')],
    ['an empty name', openOf('')],
    ['no name but a number', hex('83 a46e616d65 05 a8756e697665727365 00 a8726561646f6e6c79 c3')],
    ['universe 4', Buffer.concat([packed('plain'), hex('a8 756e697665727365 04 a8 726561646f6e6c79 c3')])],
    ['readonly = 1', Buffer.concat([packed('plain'), hex('a8 756e697665727365 00 a8 726561646f6e6c79 01')])],
  ])('OPEN with %s', async (_what, body) => {
    const answer = await client.call({ op: OP.OPEN, body });
    expect(statusEntry(answer.handle).name).toBe('BAD_REQUEST');
    expect(sentenceOf(answer)).toMatch(
      /^(OPEN must be a map|OPEN: (body of \d+ bytes must be one MessagePack map without extension types|field (name|universe|readonly) must be .+))$/,
    );
  });

  it('LIST with a body: it has none', async () => {
    expect(await statusOf({ op: OP.LIST, body: hex('c1') })).toBe('BAD_REQUEST');
  });
});

describe('IOCTL', () => {
  it.each([0, 3, 99, 0xffffffff])('number %i', async (aux) => {
    const answer = await client.call({ op: OP.IOCTL, handle: handles['plain'] ?? 0, aux });
    expect(statusEntry(answer.handle).name).toBe('UNSUPPORTED');
    expect(sentenceOf(answer)).toBe(`There is no IOCTL ${aux}`);
  });

  const extents = (lba: number, sectors: number): RawRequest => ({
    op: OP.IOCTL,
    aux: IOCTL.EXTENTS,
    body: encodeExtentsRequest({ lba, sectors }),
  });
  expectStatuses([
    ['extents of the last sector', 'file', extents(BIG_SECTORS - 1, 1), 'OK'],
    ['extents one sector past the end', 'file', extents(BIG_SECTORS - 1, 2), 'PAST_END'],
    ['extents behind the end', 'file', extents(BIG_SECTORS, 1), 'PAST_END'],
    ['extents of all there can be', 'file', extents(LBA_MAX, LBA_MAX), 'PAST_END'],
    ['extents without a body', 'file', { op: OP.IOCTL, aux: IOCTL.EXTENTS }, 'BAD_REQUEST'],
    ['extents of no sectors', 'file', { op: OP.IOCTL, aux: IOCTL.EXTENTS, body: hex('82 a36c6261 00 a7736563746f7273 00') }, 'BAD_REQUEST'],
    [
      'extents at a fraction',
      'file',
      { op: OP.IOCTL, aux: IOCTL.EXTENTS, body: hex('82 a36c6261 cb3fe0000000000000 a7736563746f7273 01') },
      'BAD_REQUEST',
    ],
  ]);

  it('extents of the whole volume are', async () => {
    const answer = await client.call({ handle: handles['file'] ?? 0, ...extents(0, BIG_SECTORS) });
    const pairs = decodeExtentsAnswer(answer.body, 0, answer.body.length).extents;
    expect(pairs.filter((_, index) => index % 2 === 0).reduce((sum, sectors) => sum + sectors, 0)).toBeLessThanOrEqual(BIG_SECTORS);
  });
});
