// Tests the header byte for byte: golden bytes of both shapes, every field at its bounds, and the length of the body.
// The tests of encoder and decoder cover bodies.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEADER_BYTES, IO_MAX_SECTORS, LBA_MAX, WIDE_UNIT_SECTORS } from './limits.ts';
import { ANSWER, FLAG, FRAMES, OP } from './frames.ts';
import { bodyLengthBytes, emptyHeader, type Header, readHeader, sectorsOf, writeIoHeader, writeMessageHeader } from './header.ts';

function read(buffer: Buffer, offset = 0): Header {
  const header = emptyHeader();
  readHeader(buffer, offset, header);
  return header;
}

function headerOf(fields: Partial<Header>): Header {
  return { ...emptyHeader(), ...fields };
}

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u48 = fc.oneof(fc.integer({ min: 0, max: LBA_MAX }), fc.constantFrom(0, 0xffff, 0x10000, 0xffffffff, 0x100000000, LBA_MAX));

describe('golden bytes', () => {
  test('of an I/O frame', () => {
    const buffer = Buffer.alloc(HEADER_BYTES);
    writeIoHeader(buffer, 0, OP.WRITE, FLAG.FUA, 0x0102, 0x0304, 0x0506, 0x0708090a0b0c, 0x0d0e);
    expect(buffer.toString('hex')).toBe('310101020304050607' + '08090a0b0c' + '0d0e');
  });

  test('of a message frame', () => {
    const buffer = Buffer.alloc(HEADER_BYTES);
    writeMessageHeader(buffer, 0, OP.IOCTL | ANSWER, FLAG.MORE, 0x0102, 0x0304, 0x0506, 0x80000001, 0xfffffffe);
    expect(buffer.toString('hex')).toBe('b5020102030405068000' + '0001' + 'fffffffe');
  });

  test('of the largest lba', () => {
    const buffer = Buffer.alloc(HEADER_BYTES);
    writeIoHeader(buffer, 0, OP.READ, 0, 0, 0, 0, LBA_MAX, 0xffff);
    expect(buffer.subarray(8).toString('hex')).toBe('ffffffffffffffff');
    expect(read(buffer)).toMatchObject({ lba: LBA_MAX, count: 0xffff });
  });
});

test('an I/O header is read as it was written, and no other byte is touched', () => {
  fc.assert(
    fc.property(u8, u8, u16, u16, u16, u48, u16, u8, (op, flags, handle, slot, seq, lba, count, offset) => {
      const buffer = Buffer.alloc(offset + HEADER_BYTES + 1, 0x77);
      writeIoHeader(buffer, offset, op, flags, handle, slot, seq, lba, count);
      expect(read(buffer, offset)).toMatchObject({ op, flags, handle, slot, seq, lba, count });
      expect([...buffer.subarray(0, offset), buffer.at(-1)]).toEqual(new Array<number>(offset + 1).fill(0x77));
    }),
  );
});

test('a message header is read as it was written', () => {
  fc.assert(
    fc.property(u8, u8, u16, u16, u16, u32, u32, (op, flags, handle, slot, seq, length, aux) => {
      const buffer = Buffer.alloc(HEADER_BYTES);
      writeMessageHeader(buffer, 0, op, flags, handle, slot, seq, length, aux);
      expect(read(buffer)).toMatchObject({ op, flags, handle, slot, seq, length, aux });
    }),
  );
});

describe('the length of a body', () => {
  test('is count x 512 in the direction of data, else 0', () => {
    expect(bodyLengthBytes(headerOf({ op: OP.WRITE, count: 3 }))).toBe(3 * SECTOR_BYTES);
    expect(bodyLengthBytes(headerOf({ op: OP.WRITE | ANSWER, count: 3 }))).toBe(0);
    expect(bodyLengthBytes(headerOf({ op: OP.READ, count: 3 }))).toBe(0);
    expect(bodyLengthBytes(headerOf({ op: OP.READ | ANSWER, count: 3 }))).toBe(3 * SECTOR_BYTES);
    expect(bodyLengthBytes(headerOf({ op: OP.READ | ANSWER, handle: 1, count: 3 }))).toBe(0);
    expect(bodyLengthBytes(headerOf({ op: OP.ZERO, count: 0xffff }))).toBe(0);
  });

  test('is at most 1 MiB for I/O', () => {
    expect(bodyLengthBytes(headerOf({ op: OP.WRITE, count: IO_MAX_SECTORS }))).toBe(IO_MAX_SECTORS * SECTOR_BYTES);
    expect(bodyLengthBytes(headerOf({ op: OP.WRITE, count: IO_MAX_SECTORS + 1 }))).toBe(-1);
    expect(bodyLengthBytes(headerOf({ op: OP.READ | ANSWER, count: IO_MAX_SECTORS + 1 }))).toBe(-1);
    // A READ request has no body, so the bound on I/O bodies does not apply to its header; the server checks the count later.
    expect(bodyLengthBytes(headerOf({ op: OP.READ, count: IO_MAX_SECTORS + 1 }))).toBe(0);
  });

  test('of an unknown op, or of an answer that does not exist, is -1', () => {
    const known = new Set(FRAMES.map(({ op }) => op));
    for (let op = 0; op < 256; op++) {
      const entry = FRAMES.find((frame) => frame.op === (op & ~ANSWER));
      const isFrame = known.has(op & ~ANSWER) && ((op & ANSWER) === 0 || entry?.isSlotted === true);
      expect({ op, isFrame: bodyLengthBytes(headerOf({ op })) >= 0 }).toEqual({ op, isFrame });
    }
  });

  test('of a message is the length in its header', () => {
    expect(bodyLengthBytes(headerOf({ op: OP.OPEN, length: 70_000 }))).toBe(70_000);
  });
});

test('WIDE counts in MiB, for DISCARD and ZERO only', () => {
  expect(sectorsOf(OP.ZERO, FLAG.WIDE, 3)).toBe(3 * WIDE_UNIT_SECTORS);
  expect(sectorsOf(OP.DISCARD, FLAG.WIDE | FLAG.FUA, 3)).toBe(3 * WIDE_UNIT_SECTORS);
  expect(sectorsOf(OP.ZERO, 0, 3)).toBe(3);
  expect(sectorsOf(OP.WRITE, FLAG.WIDE, 3)).toBe(3);
});
