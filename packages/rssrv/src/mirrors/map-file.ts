// The file `mirror.map` beside the data of a replica: a header, and the bits of the intent map. An invalid file counts as a map of ones.
// Invariants: a header is valid only with the right checksum; a torn header is therefore invalid. The header contains a number of regions,
// and is written only after the bits of these regions are on disk. The bits of regions beyond this number count as set.
//   0     "RSIOMAP1", format (u32), bytes of a region (u32), regions (u64), identity of the data (32 digits), SHA-256 of these fields
//   4096  the bits: bit i of byte j belongs to region 8j + i; bits beyond the last region are ones

import { createHash } from 'node:crypto';
import fs, { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { MIRROR_ID_CHARS, MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import type { ServedReplica } from '../storage/io/served-volume.ts';
import { bytesOf } from './intent-map.ts';
import { MAP_HEADER_BYTES } from './limits.ts';

const { O_RDWR, O_CREAT, O_TRUNC } = constants;
const openFile = promisify(fs.open);
const MODE = 0o600;
const MAGIC = 'RSIOMAP1';
const FORMAT = 1;
/** FIELDS_BYTES: length of the fields before the checksum. SUM_BYTES: length of the checksum. */
const FIELDS_BYTES = 24 + MIRROR_ID_CHARS;
const SUM_BYTES = 32;
const ONES = 0xff;
/** A new map is written in pieces of this size. */
const PIECE_BYTES = 1024 * 1024;

/** The header's fields: the data identity of the replica, and the number of regions whose bits are in the file. */
export interface MapHeader {
  readonly identity: string;
  readonly regions: number;
}

export function regionsOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / MIRROR_REGION_BYTES);
}

export function encodeHeader({ identity, regions }: MapHeader): Buffer {
  const header = Buffer.alloc(MAP_HEADER_BYTES);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt32BE(FORMAT, 8);
  header.writeUInt32BE(MIRROR_REGION_BYTES, 12);
  header.writeBigUInt64BE(BigInt(regions), 16);
  header.write(identity, 24, MIRROR_ID_CHARS, 'latin1');
  sumOf(header).copy(header, FIELDS_BYTES);
  return header;
}

/** Parses a header. If the header is invalid or belongs to other data, returns the reason, as the end of a sentence. */
export function decodeHeader(header: Buffer, identity: string): MapHeader | string {
  if (header.length < FIELDS_BYTES + SUM_BYTES) return 'it is too short';
  if (!sumOf(header).equals(header.subarray(FIELDS_BYTES, FIELDS_BYTES + SUM_BYTES))) return 'its header is damaged';
  if (header.toString('latin1', 0, 8) !== MAGIC || header.readUInt32BE(8) !== FORMAT) return 'it has another format';
  if (header.readUInt32BE(12) !== MIRROR_REGION_BYTES) return 'it has regions of another size';
  const of = header.toString('latin1', 24, 24 + MIRROR_ID_CHARS);
  return of === identity ? { identity, regions: Number(header.readBigUInt64BE(16)) } : `it is the map of other data (${of})`;
}

/**
 * Durably makes a map of ones, which replaces an earlier map. `reached` is called after each step. Throws a system error; after an
 * error, the file is either the earlier map or the new map.
 */
export async function makeMap(file: string, header: MapHeader, reached: (step: string) => void = () => undefined): Promise<void> {
  const temporary = `${file}.new`;
  try {
    const handle = await open(temporary, O_RDWR | O_CREAT | O_TRUNC, MODE);
    try {
      await handle.writeFile(encodeHeader(header));
      const ones = Buffer.alloc(Math.min(PIECE_BYTES, bytesOf(header.regions)), ONES);
      for (let left = bytesOf(header.regions); left > 0; left -= ones.length) await handle.writeFile(ones.subarray(0, left));
      await handle.sync();
    } finally {
      await handle.close();
    }
    reached('place: written map');
    await rename(temporary, file);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  reached('place: map');
  await syncDirectory(path.dirname(file));
  reached('place: durable map');
}

/**
 * Opens the map of a replica, and returns the descriptor. If the file is missing, creates an empty file, which counts as a map of
 * ones. Throws a system error.
 */
export function openMap({ mapPath }: ServedReplica): Promise<number> {
  return openFile(mapPath, O_RDWR | O_CREAT, MODE);
}

function sumOf(header: Buffer): Buffer {
  return createHash('sha256').update(header.subarray(0, FIELDS_BYTES)).digest();
}
