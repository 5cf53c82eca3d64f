// Writes backups without content for tests of the chain. Each backup consists of a qcow2 header and a record. Invariant: unless a test
// demands otherwise, the files have the form that qemu-img and `rsconfig backup` write.

import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { factsOf } from '../backup/link-check.ts';

export const BACKUP_BYTES = 1024 * 1024;

export interface HeaderParts {
  readonly backing?: string | null;
  readonly sizeBytes?: number;
  readonly incompatible?: number;
  readonly crypt?: number;
  readonly version?: number;
  /** Type and text of each header extension. */
  readonly extensions?: readonly (readonly [number, string])[];
}

/** Returns a file with a qcow2 header as qemu-img writes it. */
export function qcow2(parts: HeaderParts = {}): Buffer {
  const { backing = null, sizeBytes = BACKUP_BYTES, incompatible = 0, crypt = 0, version = 3, extensions = [] } = parts;
  const bytes = Buffer.alloc(1024);
  bytes.writeUInt32BE(0x51_46_49_fb, 0);
  bytes.writeUInt32BE(version, 4);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 24);
  bytes.writeUInt32BE(crypt, 32);
  bytes.writeUInt32BE(incompatible, 76);
  bytes.writeUInt32BE(104, 100);
  let at = version === 2 ? 72 : 104;
  for (const [type, text] of extensions) {
    bytes.writeUInt32BE(type, at);
    bytes.writeUInt32BE(text.length, at + 4);
    bytes.write(text, at + 8);
    at += 8 + Math.ceil(text.length / 8) * 8;
  }
  if (backing === null) return bytes;
  bytes.writeBigUInt64BE(BigInt(at + 8), 8);
  bytes.writeUInt32BE(Buffer.byteLength(backing), 16);
  bytes.write(backing, at + 8);
  return bytes;
}

/**
 * Writes a backup of the snapshot with the id `snapshotId`, and returns the path of the backup. `baseId`: undefined for a record in the
 * form of older releases.
 */
export function writeBackup(folder: string, name: string, snapshotId: string, base: string | null = null, baseId?: string | null): string {
  const file = path.join(folder, name);
  writeFileSync(file, qcow2({ backing: base }));
  const record = { snapshot: `osl:db@0@${snapshotId}`, snapshotId, sizeBytes: BACKUP_BYTES, base, baseId };
  writeFileSync(`${file}.json`, JSON.stringify(record));
  return file;
}

/** Adds to the record of a backup its length and checksum, as a present rsconfig does. The time of the file becomes one in whole seconds. */
export async function sealBackup(file: string): Promise<void> {
  utimesSync(file, 1_284_476_552, 1_284_476_552);
  const record = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as object;
  writeFileSync(`${file}.json`, JSON.stringify({ ...record, ...(await factsOf(file)) }));
}
