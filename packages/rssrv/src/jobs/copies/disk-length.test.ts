// Tests which length a table of partitions demands, with tables as sfdisk writes them. Invariant: what is no table demands nothing, because a
// raw volume may begin with any bytes. Rules: G30.

import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { DISK_HEAD_BYTES, neededBytes } from './disk-length.ts';

const MIB = 1024 * 1024;

function gpt(lastSector: number, sectorBytes: number): Buffer {
  const head = Buffer.alloc(DISK_HEAD_BYTES);
  const header = head.subarray(sectorBytes, sectorBytes + 92);
  header.write('EFI PART');
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(BigInt(lastSector), 32);
  header.writeBigUInt64LE(BigInt(lastSector - 33), 48);
  header.writeUInt32LE(crc32(header), 16);
  mbr(head, [[0, 0xee, 1, 0xff_ff_ff_ff]]);
  return head;
}

type Entry = readonly [status: number, type: number, start: number, count: number];
function mbr(head: Buffer, entries: readonly Entry[]): Buffer {
  head.writeUInt16LE(0xaa55, 510);
  for (const [index, [status, type, start, count]] of entries.entries()) {
    const at = 446 + index * 16;
    head[at] = status;
    head[at + 4] = type;
    head.writeUInt32LE(start, at + 8);
    head.writeUInt32LE(count, at + 12);
  }
  return head;
}

const damaged = gpt(2_047, 512);
damaged[560] = 1;

test.each<readonly [string, Buffer, number]>([
  ['a GPT', gpt(2_047, 512), MIB],
  ['a GPT of sectors of 4096 bytes', gpt(255, 4_096), MIB],
  ['a GPT with a wrong checksum', damaged, 0],
  ['an MBR', mbr(Buffer.alloc(512), [[0x80, 0x83, 63, 1_985]]), MIB],
  [
    'an MBR with a hole',
    mbr(Buffer.alloc(512), [
      [0, 0, 0, 0],
      [0, 7, 1_024, 1_024],
      [0, 0x82, 63, 100],
    ]),
    MIB,
  ],
  [
    'an MBR with a strange entry',
    mbr(Buffer.alloc(512), [
      [0x80, 0x83, 63, 1_985],
      [1, 2, 3, 4],
    ]),
    0,
  ],
  ['zeros', Buffer.alloc(DISK_HEAD_BYTES), 0],
  ['half a sector', Buffer.alloc(100, 0x55), 0],
])('%s', (_, head, expected) => expect(neededBytes(head)).toBe(expected));

test('the first sector of a file system is no table', () => {
  for (const [at, text] of [
    [3, 'NTFS    '],
    [3, 'EXFAT   '],
    [0x36, 'FAT16   '],
    [0x52, 'FAT32   '],
  ] as const) {
    const head = mbr(Buffer.alloc(512), [[0, 0x0c, 1, 9_999_999]]);
    head.write(text, at);
    expect(neededBytes(head)).toBe(0);
  }
});
