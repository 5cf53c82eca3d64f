// Reads and checks the chain of an incremental backup: the file itself, its base, the base of the base, and so on. The record of each file
// names the base of the file, and the snapshot that the base contains. Invariants: a base is opened only if the record names it, it is in
// the folder of the backup, and the qcow2 header names the same file. A base with another snapshot, and a file of another length than when
// it was made, are refused; link-check.ts compares the contents. qemu gets the list of all files and follows no file name inside a file.

import { lstat, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { withFile } from '@rsio/base/files/with-file';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { type BackupRecord, readRecord } from './backup-record.ts';
import { CHAIN_FILES_MAX, QCOW2_HEADER_BYTES } from '../limits.ts';
import { parseQcow2Header, quoted, type Qcow2Header } from './qcow2-header.ts';

export interface BackupChain {
  readonly folder: string;
  /** Names of the files in the folder: the backup, then its base, and so on. */
  readonly names: readonly [string, ...string[]];
  readonly sizeBytes: number;
  /** The record of each file, in the same order. Only the last file may have none. */
  readonly records: readonly (BackupRecord | null)[];
}

/**
 * Reads and checks the chain of a backup. Throws E_USAGE if a base is missing, does not contain the snapshot that the record names, or is
 * not the file that the qcow2 header names. If `isUnproven` is true, the function also accepts a record without the id of the base's
 * snapshot, and a full backup without a record.
 */
export async function readChain(file: string, isUnproven: boolean): Promise<BackupChain> {
  const real = await realpath(file).catch((thrown: unknown) => {
    throw unusable(`There is no backup ${file} (${errnoName(thrown) ?? '?'}): name a file that rsconfig backup has made`);
  });
  const [folder, first] = [path.dirname(real), path.basename(real)];
  const newest = await readLink(folder, first, isUnproven);
  const names: [string, ...string[]] = [first];
  const records = [newest.record];
  for (let link = newest; link.record !== null && link.record.base !== null; ) {
    const { base, baseId } = link.record;
    const above = path.join(folder, names.at(-1)!);
    if (names.includes(base)) throw unusable(`${above} stands on itself: it is no backup`);
    if (names.length === CHAIN_FILES_MAX)
      throw unusable(`${file} stands on more than ${CHAIN_FILES_MAX} files: make one of them with qemu-img convert`);
    if (baseId === null && !isUnproven)
      throw unusable(
        `${above} does not tell which ${base} it stands on, because an older rsconfig made it: make a full backup; if that file was never replaced, restore with --unproven`,
      );
    const below = await readLink(folder, base, isUnproven);
    if (below.record === null || (baseId !== null && below.record.snapshotId !== baseId))
      throw unusable(
        `${path.join(folder, base)} is not the backup on which ${above} stands, but one of another snapshot of that name: only the former file makes it whole`,
      );
    names.push(base);
    records.push(below.record);
    link = below;
  }
  return { folder, names, sizeBytes: newest.header.sizeBytes, records };
}

/** Returns the name under which qemu's programs open the chain. The programs must run in the folder of the chain. */
export function chainUri(chain: Pick<BackupChain, 'names'>): string {
  return `json:${JSON.stringify(chainNode(chain))}`;
}

/** Returns the description of the chain for qemu's programs, which must run in the folder of the chain. */
export function chainNode({ names }: Pick<BackupChain, 'names'>): object {
  const node = (at: number): object => {
    const filename = names[at]!;
    return { driver: 'qcow2', file: { driver: 'file', filename }, backing: at + 1 < names.length ? node(at + 1) : null };
  };
  return node(0);
}

/**
 * Throws E_EXISTS if a backup with this name exists. Also throws E_EXISTS if another backup names a file with this name as its base, but
 * with a snapshot other than `snapshotId`, because that backup would then mix two states.
 */
export async function checkFree(file: string, snapshotId: string): Promise<void> {
  if ((await lstat(file).catch(() => null)) !== null)
    throw new RsError(
      'E_EXISTS',
      `Backup ${file} exists, and no backup is ever replaced: choose another directory, or back up another snapshot`,
    );
  const [folder, name] = [path.dirname(file), path.basename(file)];
  for (const other of await readdir(folder)) {
    if (!other.endsWith('.qcow2')) continue;
    const above = path.join(folder, other);
    const header = await readHeader(above).catch(() => null);
    if (header === null || typeof header === 'string' || header.backing !== name) continue;
    const record = await readRecord(above).catch(() => null);
    if (record?.baseId === snapshotId) continue;
    throw new RsError(
      'E_EXISTS',
      `${above} stands on the former ${name}, which is missing, and this is a backup of another snapshot: choose another directory`,
    );
  }
}

function unusable(why: string): RsError {
  return new RsError('E_USAGE', why);
}

interface Link {
  readonly header: Qcow2Header;
  /** The record of this file, or null. Only a full backup may have no record. */
  readonly record: BackupRecord | null;
}

async function readLink(folder: string, name: string, isUnproven: boolean): Promise<Link> {
  const file = path.join(folder, name);
  const header = await readHeader(file);
  if (typeof header === 'string') throw unusable(`${file} ${header}: rsconfig backup did not make it`);
  const record = await readRecord(file);
  const base = record?.base ?? null;
  if (header.backing !== base) {
    const is = header.backing === null ? 'stands on no other file' : `stands on ${quoted(header.backing)}`;
    const told = base === null ? 'tells of no base' : `tells of ${base}`;
    throw unusable(`${file} ${is}, and its description ${record === null ? 'is missing' : told}: it is not followed`);
  }
  if (record === null && !isUnproven)
    throw unusable(`${file} has no description ${name}.json: make a full backup; if you trust the file, restore it with --unproven`);
  if (record !== null && record.sizeBytes !== header.sizeBytes)
    throw unusable(`${file} has ${header.sizeBytes} bytes, and its description tells of ${record.sizeBytes}: it is another file`);
  const fileBytes = record?.fileBytes ?? null;
  const { size } = await lstat(file);
  if (fileBytes !== null && size !== fileBytes) {
    const how = size < fileBytes ? 'was cut' : 'is longer';
    throw unusable(`${file} ${how}: it has ${size} bytes, and had ${fileBytes} when it was made; bring the former file back`);
  }
  return { header, record };
}

/** Returns the header, or a text with the reason why the header is refused. Throws E_USAGE if there is no regular file with this name. */
export async function readHeader(file: string): Promise<Qcow2Header | string> {
  // A symbolic link is refused, because it could lead out of the folder.
  if (!(await lstat(file).catch(() => null))?.isFile())
    throw unusable(`There is no backup ${file}: bring the file back, the backups of a chain must be in one directory`);
  const { buffer, bytesRead } = await withFile(file, 'r', (handle) => handle.read(Buffer.alloc(QCOW2_HEADER_BYTES), 0, null, 0));
  return parseQcow2Header(buffer.subarray(0, bytesRead));
}
