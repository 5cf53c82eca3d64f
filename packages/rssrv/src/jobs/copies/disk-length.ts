// Finds out how long a raw disk has to be by its table of partitions, so that an import does not take a part of a disk for the whole one.
// Pure. Invariant: a table counts only if its checksum (GPT) or all its entries (MBR) are right, because a raw volume may begin with any
// bytes.

import { crc32 } from 'node:zlib';

const SECTOR_BYTES = 512;
const GPT_BYTES = 92;
const GPT_CRC = 16;
const MBR = { entries: 446, entryBytes: 16, count: 4, mark: 0xaa55 } as const;
const GPT_TYPE = 0xee;
/** File systems whose first sector has the mark of an MBR, and other bytes in place of the table: place and text. */
const BOOT_SECTORS = [
  [3, 'NTFS'],
  [3, 'EXFAT'],
  [0x36, 'FAT'],
  [0x52, 'FAT'],
] as const;
/** Bytes of a disk that `neededBytes` looks at. */
export const DISK_HEAD_BYTES = 8192;

/** Returns the length that the table at the begin of a disk demands; 0 if there is no table. `head`: the first DISK_HEAD_BYTES at most. */
export function neededBytes(head: Buffer): number {
  return Math.max(gptBytes(head, SECTOR_BYTES), gptBytes(head, 4096), mbrBytes(head));
}

function gptBytes(head: Buffer, sectorBytes: number): number {
  const header = Buffer.from(head.subarray(sectorBytes, sectorBytes + GPT_BYTES));
  if (header.length < GPT_BYTES || header.toString('latin1', 0, 8) !== 'EFI PART' || header.readUInt32LE(12) !== GPT_BYTES) return 0;
  const sum = header.readUInt32LE(GPT_CRC);
  header.writeUInt32LE(0, GPT_CRC);
  if (crc32(header) !== sum) return 0;
  const [second, lastUsable] = [header.readBigUInt64LE(32), header.readBigUInt64LE(48)];
  const last = Number(second > lastUsable ? second : lastUsable);
  return (last + 1) * sectorBytes;
}

function mbrBytes(head: Buffer): number {
  if (head.length < SECTOR_BYTES || head.readUInt16LE(SECTOR_BYTES - 2) !== MBR.mark) return 0;
  if (BOOT_SECTORS.some(([at, text]) => head.toString('latin1', at, at + text.length) === text)) return 0;
  let bytes = 0;
  for (let at = MBR.entries; at < MBR.entries + MBR.count * MBR.entryBytes; at += MBR.entryBytes) {
    const [status, type] = [head[at]!, head[at + 4]!];
    if (status !== 0 && status !== 0x80) return 0;
    // In front of a GPT, this entry may say that the disk has 2 TiB, whatever its length.
    if (type === 0 || type === GPT_TYPE) continue;
    bytes = Math.max(bytes, (head.readUInt32LE(at + 8) + head.readUInt32LE(at + 12)) * SECTOR_BYTES);
  }
  return bytes;
}
