// Commands for blocks: what is refused before data arrives, what reaches the volume, what comes back. The oracle is a volume in memory: its
// content, and the requests that it has seen.

import { describe, expect, it } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { SCSI_PIECE_BYTES } from '../limits.ts';
import { cdb10, cdb12, cdb16, cdb6, ScsiRig } from './testing/scsi-rig.ts';

const BLOCK = 512;
const MIB = 1024 * 1024;
const OUT_OF_RANGE = '5/2100';
const INVALID_FIELD = '5/2400';
const PROTECTED = '7/2700';

function pattern(blocks: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(blocks * BLOCK);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 7 + seed + (at >> 9)) & 0xff;
  return bytes;
}

const last = MIB / BLOCK;

describe('reads and writes', () => {
  it.each([
    ['6', cdb6(0x0a, 0, 0, 5, 3), cdb6(0x08, 0, 0, 5, 3)],
    ['10', cdb10(0x2a, 5, 3), cdb10(0x28, 5, 3)],
    ['12', cdb12(0xaa, 5, 3), cdb12(0xa8, 5, 3)],
    ['16', cdb16(0x8a, 5, 3), cdb16(0x88, 5, 3)],
  ])('of %s bytes move data to and from the volume', (_, write, read) => {
    const rig = new ScsiRig();
    const host = rig.host();
    const out = pattern(3);
    expect(host.send(write, { out }).short).toBe('good');
    expect(rig.unit.volume.content.subarray(5 * BLOCK, 8 * BLOCK).equals(out)).toBe(true);
    // This volume completes every second read with data in a receive buffer.
    for (let round = 0; round < 2; round++) expect(host.send(read).data.equals(out)).toBe(true);
  });

  it('of 0 blocks by a command of 6 bytes have 256 blocks', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    expect(host.send(cdb6(0x08, 0, 0, 0, 0)).data.length).toBe(256 * BLOCK);
    expect(host.send(cdb6(0x0a, 0, 0, 0, 0), { out: pattern(256) }).presented).toBe(256 * BLOCK);
  });

  it.each([
    ['a block behind the end', cdb10(0x28, last, 1), OUT_OF_RANGE],
    ['more blocks than there are', cdb10(0x28, last - 1, 2), OUT_OF_RANGE],
    ['a number of 64 bits', cdb16(0x88, 2n ** 63n, 1), OUT_OF_RANGE],
    ['the highest number', cdb16(0x88, 2n ** 64n - 1n, 2), OUT_OF_RANGE],
    ['no blocks behind the end', cdb10(0x28, last + 1, 0), OUT_OF_RANGE],
    ['no blocks at the end', cdb10(0x28, last, 0), 'good'],
    ['protection', cdb10(0x28, 0, 1, 0x20), INVALID_FIELD],
    ['FUA and DPO', cdb10(0x28, 0, 1, 0x18), 'good'],
    ['NACA', Buffer.concat([cdb10(0x28, 0, 1).subarray(0, 9), Buffer.from([4])]), INVALID_FIELD],
  ])('with %s', (_, cdb, short) => {
    expect(new ScsiRig().host().send(cdb).short).toBe(short);
  });

  it('with more blocks than a transfer may have are refused before data arrives', () => {
    const rig = new ScsiRig({ sizeBytes: 16 * MIB });
    const host = rig.host();
    expect(host.send(cdb10(0x28, 0, 8193)).short).toBe(INVALID_FIELD);
    expect(host.send(cdb10(0x2a, 0, 8193), { out: Buffer.alloc(8193 * BLOCK) }).short).toBe(INVALID_FIELD);
    expect(host.send(cdb10(0x28, 0, 8192)).data.length).toBe(4 * MIB);
  });

  it('pass FUA to the volume for writes only', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    host.send(cdb10(0x2a, 0, 1, 0x08), { out: pattern(1) });
    host.send(cdb10(0x28, 0, 1, 0x08));
    expect(rig.unit.volume.seen).toEqual(['write 0+512 fua', 'read 0+512']);
  });

  it('have residuals, and never write a part of the blocks', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const part = host.send(cdb10(0x2a, 0, 2), { out: pattern(1).subarray(0, 200) });
    expect([part.short, part.presented]).toEqual(['5/0e03', 2 * BLOCK]);
    const none = host.send(cdb10(0x2a, 0, 2), { out: Buffer.alloc(0) });
    expect([none.short, none.presented]).toEqual(['good', 2 * BLOCK]);
    expect(rig.unit.volume.seen).toEqual([]);
    const short = host.send(cdb10(0x2e, 0, 2), { out: pattern(1) });
    expect([short.short, short.presented]).toEqual(['good', 2 * BLOCK]);
    expect(host.send(cdb10(0x2a, 0, 1), { out: pattern(4) }).presented).toBe(BLOCK);
    expect(rig.unit.volume.seen).toEqual(['write 0+512 fua', 'read 0+512 fua', 'write 0+512']);
    expect(host.send(cdb16(0x8b, 0, 2), { out: pattern(1) }).short).toBe('5/0e03');
    const read = host.send(cdb10(0x28, 0, 2), { expected: 200 });
    expect([read.short, read.data.length, read.presented]).toEqual(['good', 200, 2 * BLOCK]);
    expect(host.send(cdb10(0x28, 0, 2), { expected: 0 }).data.length).toBe(0);
    expect(host.send(cdb10(0x28, 0, 1), { out: pattern(1) }).short).toBe('good');
  });

  it('are refused on a read-only volume and after SWP, reads not', () => {
    const rig = new ScsiRig({ readonly: true });
    const host = rig.host();
    const changes = [
      [cdb10(0x2a, 0, 1), 1],
      [cdb10(0x2e, 0, 1), 1],
      [cdb10(0x41, 0, 1), 1],
      [cdb16(0x8b, 0, 1), 1],
    ] as const;
    for (const [cdb, blocks] of changes) expect(host.send(cdb, { out: pattern(blocks) }).short).toBe(PROTECTED);
    expect(host.send(cdb10(0x42, 0, 24), { out: Buffer.alloc(24) }).short).toBe(PROTECTED);
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe('good');
    expect(host.send(cdb10(0x35, 0, 0)).short).toBe('good');
  });

  it.each([
    [STATUS.IO_ERROR, '3/1100', '3/0c00'],
    [STATUS.NO_SPACE, '7/2707', '7/2707'],
    [STATUS.OUT_OF_MEMORY, 'busy', 'busy'],
    [STATUS.OUTCOME_UNKNOWN, 'busy', 'busy'],
    [STATUS.STALE, 'busy', 'busy'],
  ])('whose volume says %i', (status, read, write) => {
    const rig = new ScsiRig();
    const host = rig.host();
    rig.unit.volume.fail = status;
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe(read);
    expect(host.send(cdb10(0x2a, 0, 1), { out: pattern(1) }).short).toBe(write);
  });

  it('that lose their volume tell hosts to use another gate if there is one', () => {
    const rig = new ScsiRig({ hasPartner: true });
    const host = rig.host();
    rig.unit.volume.fail = STATUS.OUTCOME_UNKNOWN;
    expect(host.send(cdb10(0x28, 0, 1)).short).toBe('2/040b');
  });
});

describe('VERIFY and WRITE AND VERIFY', () => {
  it.each([
    ['10', (flags: number, blocks: number) => cdb10(0x2f, 3, blocks, flags)],
    ['12', (flags: number, blocks: number) => cdb12(0xaf, 3, blocks, flags)],
    ['16', (flags: number, blocks: number) => cdb16(0x8f, 3, blocks, flags)],
  ])('compare as BYTCHK says (%s)', (_, verify) => {
    const rig = new ScsiRig();
    const host = rig.host();
    pattern(4).copy(rig.unit.volume.content, 3 * BLOCK);
    expect(host.send(verify(0, 4)).short).toBe('good');
    expect(host.send(verify(2, 4), { out: pattern(4) }).short).toBe('good');
    const wrong = pattern(4);
    wrong[1000]! ^= 1;
    expect(host.send(verify(2, 4), { out: wrong }).short).toBe('e/1d00');
    expect(host.send(verify(0, 4), { out: wrong }).short).toBe('good');
    expect(host.send(verify(4, 4), { out: pattern(4) }).short).toBe(INVALID_FIELD);
    expect(host.send(verify(6, 4), { out: pattern(1) }).short).toBe('e/1d00');
    for (let block = 0; block < 4; block++) pattern(1, 9).copy(rig.unit.volume.content, (3 + block) * BLOCK);
    expect(host.send(verify(6, 4), { out: pattern(1, 9) }).short).toBe('good');
    expect(host.send(verify(0x20, 1)).short).toBe(INVALID_FIELD);
  });

  it('read long ranges piece by piece', () => {
    const rig = new ScsiRig({ sizeBytes: 4 * MIB });
    const host = rig.host();
    const out = pattern((3 * MIB) / BLOCK);
    out.copy(rig.unit.volume.content);
    expect(host.send(cdb10(0x2f, 0, (3 * MIB) / BLOCK, 2), { out }).short).toBe('good');
    expect(rig.unit.volume.seen.map((one) => one.split('+')[1])).toEqual([1, 2, 3].map(() => String(SCSI_PIECE_BYTES)));
    rig.unit.volume.content[2 * MIB + 5]! ^= 1;
    expect(host.send(cdb10(0x2f, 0, (3 * MIB) / BLOCK, 2), { out }).short).toBe('e/1d00');
  });

  it('write durably and read again', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    for (const cdb of [cdb10(0x2e, 1, 2, 2), cdb12(0xae, 1, 2, 2), cdb16(0x8e, 1, 2, 0)]) {
      rig.unit.volume.seen.length = 0;
      expect(host.send(cdb, { out: pattern(2) }).short).toBe('good');
      expect(rig.unit.volume.seen).toEqual(['write 512+1024 fua', 'read 512+1024 fua']);
    }
    expect(host.send(cdb10(0x2e, 1, 2, 6), { out: pattern(2) }).short).toBe(INVALID_FIELD);
  });
});

describe('WRITE SAME', () => {
  it.each([
    ['10', (lba: number, blocks: number, flags?: number) => cdb10(0x41, lba, blocks, flags)],
    ['16', (lba: number, blocks: number, flags?: number) => cdb16(0x93, lba, blocks, flags)],
  ])('fills a range (%s)', (_, same) => {
    const rig = new ScsiRig({ sizeBytes: 4 * MIB });
    const host = rig.host();
    const out = pattern(1, 3);
    expect(host.send(same(2, 5000), { out }).short).toBe('good');
    for (const block of [2, 3, 2049, 2050, 5001])
      expect(rig.unit.volume.content.subarray(block * BLOCK, (block + 1) * BLOCK).equals(out)).toBe(true);
    expect(rig.unit.volume.content[5002 * BLOCK]).toBe(0);
    rig.unit.volume.seen.length = 0;
    expect(host.send(same(0, 4), { out: Buffer.alloc(BLOCK) }).short).toBe('good');
    expect(host.send(same(0, 4, 0x08), { out: Buffer.alloc(BLOCK) }).short).toBe('good');
    expect(rig.unit.volume.seen).toEqual(['zero 0+2048 keep', 'zero 0+2048']);
    // Data other than zeros is written, because unmapped blocks read as zeros.
    expect(host.send(same(0, 4, 0x08), { out }).short).toBe('good');
    expect(rig.unit.volume.content.subarray(0, BLOCK).equals(out)).toBe(true);
  });

  it.each([
    ['no blocks (WSNZ)', cdb10(0x41, 0, 0), BLOCK, INVALID_FIELD],
    ['too many blocks', cdb16(0x93, 0, 32_769), BLOCK, INVALID_FIELD],
    ['ANCHOR', cdb16(0x93, 0, 1, 0x18), BLOCK, INVALID_FIELD],
    ['two blocks of data', cdb10(0x41, 0, 1), 2 * BLOCK, '5/0e03'],
    ['half a block of data', cdb10(0x41, 0, 1), BLOCK / 2, '5/0e03'],
    ['a range behind the end', cdb10(0x41, 65_535, 1), BLOCK, OUT_OF_RANGE],
  ])('with %s', (_, cdb, outBytes, short) => {
    const rig = new ScsiRig({ sizeBytes: 20 * MIB });
    expect(rig.host().send(cdb, { out: Buffer.alloc(outBytes) }).short).toBe(short);
    expect(rig.unit.volume.seen).toEqual([]);
  });

  it('needs no data with NDOB', () => {
    const rig = new ScsiRig();
    rig.unit.volume.content.fill(7);
    expect(rig.host().send(cdb16(0x93, 1, 2, 0x01)).short).toBe('good');
    expect(rig.unit.volume.content[BLOCK - 1]).toBe(7);
    expect(rig.unit.volume.content.subarray(BLOCK, 3 * BLOCK).every((byte) => byte === 0)).toBe(true);
  });
});

function unmapList(...ranges: readonly (readonly [lba: number, blocks: number])[]): Buffer {
  const list = Buffer.alloc(8 + 16 * ranges.length);
  list.writeUInt16BE(list.length - 2, 0);
  list.writeUInt16BE(16 * ranges.length, 2);
  for (const [index, [lba, blocks]] of ranges.entries()) {
    list.writeBigUInt64BE(BigInt(lba), 8 + 16 * index);
    list.writeUInt32BE(blocks, 16 + 16 * index);
  }
  return list;
}

function unmap(list: Buffer): [Buffer, { out: Buffer }] {
  return [cdb10(0x42, 0, list.length), { out: list }];
}

describe('UNMAP and GET LBA STATUS', () => {
  it('make holes that read as zeros', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    host.send(cdb10(0x2a, 0, 8), { out: pattern(8) });
    expect(host.send(...unmap(unmapList([1, 2], [5, 0], [6, 1]))).short).toBe('good');
    expect(rig.unit.volume.seen.slice(1)).toEqual(['zero 512+1024', 'zero 3072+512']);
    const { data } = host.send(cdb16(0x9e, 0, 4096, 0x12));
    const ranges = [0, 1, 2, 3, 4, 5].map((index) => [
      Number(data.readBigUInt64BE(8 + 16 * index)),
      data.readUInt32BE(16 + 16 * index),
      data[20 + 16 * index],
    ]);
    expect(ranges).toEqual([
      [0, 1, 0],
      [1, 2, 1],
      [3, 3, 0],
      [6, 1, 1],
      [7, 1, 0],
      [8, last - 8, 1],
    ]);
    expect(data.readUInt32BE(0)).toBe(data.length - 4);
    expect(
      host
        .send(cdb16(0x9e, 1, 24, 0x12))
        .data.subarray(8)
        .toString('hex'),
    ).toBe('00000000000000010000000201000000');
  });

  it.each([
    ['one range behind the end', unmapList([0, 1], [last, 1]), OUT_OF_RANGE],
    ['no blocks behind the end', unmapList([last, 0]), 'good'],
    ['no range', unmapList(), 'good'],
    ['an empty list', Buffer.alloc(0), 'good'],
    ['a list that is too short', Buffer.alloc(7), '5/1a00'],
    ['a range that is cut', unmapList([0, 1], [2, 1]).subarray(0, 30), 'good'],
    ['too many ranges', unmapList(...Array.from({ length: 257 }, () => [0, 1] as const)), INVALID_FIELD],
  ])('with %s', (_, list, short) => {
    const rig = new ScsiRig();
    expect(rig.host().send(...unmap(list)).short).toBe(short);
    // All ranges are checked before one is unmapped.
    if (short !== 'good') expect(rig.unit.volume.seen).toEqual([]);
  });

  it('with too many blocks', () => {
    const rig = new ScsiRig({ sizeBytes: 600 * MIB });
    expect(rig.host().send(...unmap(unmapList([0, 600_000], [0, 600_000]))).short).toBe('5/2600');
  });

  it('is not there if the volume cannot discard', () => {
    const rig = new ScsiRig({ canDiscard: false });
    const host = rig.host();
    expect(host.send(...unmap(unmapList([0, 1]))).short).toBe('5/2000');
    expect(host.send(cdb10(0x41, 0, 1, 0x08), { out: Buffer.alloc(BLOCK) }).short).toBe(INVALID_FIELD);
    expect(host.send(cdb16(0x9e, 0, 32, 0x10)).data[14]).toBe(0);
    expect(host.send(cdb16(0x9e, last, 24, 0x12)).short).toBe(OUT_OF_RANGE);
  });
});

describe('COMPARE AND WRITE and ORWRITE', () => {
  const compare = (lba: number, blocks: number, flags = 0): Buffer => {
    const cdb = cdb16(0x89, lba, 0, flags);
    cdb[13] = blocks;
    return cdb;
  };

  it('writes only what is as the host says', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    pattern(1).copy(rig.unit.volume.content, 4 * BLOCK);
    const out = Buffer.concat([pattern(1), pattern(1, 50)]);
    expect(host.send(compare(4, 1), { out }).short).toBe('good');
    expect(rig.unit.volume.content.subarray(4 * BLOCK, 5 * BLOCK).equals(pattern(1, 50))).toBe(true);
    expect(host.send(compare(4, 1), { out }).short).toBe('e/1d00');
    expect(rig.unit.volume.content.subarray(4 * BLOCK, 5 * BLOCK).equals(pattern(1, 50))).toBe(true);
    expect(host.send(compare(4, 0), { out: Buffer.alloc(0) }).short).toBe('good');
    expect(host.send(compare(4, 0), { out: Buffer.alloc(512 * BLOCK) }).short).toBe(INVALID_FIELD);
    expect(host.send(compare(4, 2), { out: Buffer.alloc(4 * BLOCK) }).short).toBe(INVALID_FIELD);
    expect(host.send(compare(4, 1), { out: Buffer.alloc(4 * BLOCK) }).short).toBe('5/0e03');
    expect(host.send(compare(last, 1), { out }).short).toBe(OUT_OF_RANGE);
  });

  it('ORWRITE loses no change that is under way', () => {
    const rig = new ScsiRig();
    const [host, other] = [rig.host('a'), rig.host('b')];
    const ones = (value: number): Buffer => Buffer.alloc(2 * BLOCK, value);
    const tags = [host.start(cdb16(0x8b, 0, 2), { out: ones(0x0f) }), other.start(cdb16(0x8b, 1, 2), { out: ones(0x30) })];
    const write = other.start(cdb10(0x2a, 2, 1), { out: Buffer.alloc(BLOCK, 0x80) });
    const far = other.start(cdb10(0x2a, 9, 1), { out: Buffer.alloc(BLOCK, 0x80) });
    rig.complete(2);
    expect(other.answerTo(far)?.short).toBe('good');
    rig.settle();
    expect([host.answerTo(tags[0]!)?.short, other.answerTo(tags[1]!)?.short, other.answerTo(write)?.short]).toEqual([
      'good',
      'good',
      'good',
    ]);
    expect([0, 1, 2].map((block) => rig.unit.volume.content[block * BLOCK])).toEqual([0x0f, 0x3f, 0x80]);
  });
});

describe('other commands for blocks', () => {
  it.each([
    [cdb10(0x34, 0, 10), 'good'],
    [cdb16(0x90, last, 1), OUT_OF_RANGE],
    [cdb10(0x35, 0, 0), 'good'],
    [cdb16(0x91, last + 1, 0), OUT_OF_RANGE],
    [cdb6(0x1b, 0, 0, 0, 0), 'good'],
    [cdb6(0x1b, 0, 0, 0, 1), 'good'],
    [cdb6(0x1b, 0, 0, 0, 2), INVALID_FIELD],
  ])('%o', (cdb, short) => {
    expect(new ScsiRig().host().send(cdb).short).toBe(short);
  });

  it('flush the volume', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    for (const cdb of [cdb10(0x35, 0, 0), cdb16(0x91, 0, 0), cdb6(0x1b), cdb6(0x1b, 0, 0, 0, 1)]) host.send(cdb);
    expect(rig.unit.volume.seen).toEqual(['flush 0+0', 'flush 0+0', 'flush 0+0']);
  });

  it('an ordered task waits for earlier ones, and later ones for it', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    host.start(cdb10(0x28, 0, 1));
    host.start(cdb10(0x28, 5, 1), { attribute: 'ordered' });
    host.start(cdb10(0x28, 9, 1));
    expect(rig.unit.volume.seen).toEqual(['read 0+512']);
    rig.complete();
    expect(rig.unit.volume.seen).toEqual(['read 0+512', 'read 2560+512']);
    rig.settle();
    expect(host.answers.map(({ short }) => short)).toEqual(['good', 'good', 'good']);
  });
});
