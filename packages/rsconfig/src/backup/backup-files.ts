// The files of backups in a directory: NAME@SNAPSHOT.qcow2, and beside it NAME@SNAPSHOT.qcow2.json, which says of which snapshot it is. Invariants:
// a file with its final name is whole and durable; a backup is never replaced; the id of a snapshot, not its name, tells whether a backup is of it.

import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/common/files/durable-write';
import { isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { snapshotName } from '@rsio/common/lib/volume-name';
import { RECORD_MAX_BYTES } from './limits.ts';

/** What is known of a backup. */
export interface BackupRecord {
  /** Such as `osl:oracle@0@monday`. */
  readonly snapshot: string;
  readonly snapshotId: string;
  readonly sizeBytes: number;
  /** Name of the file of the backup before, on which this one stands; null for a full backup. */
  readonly base: string | null;
}

const BACKUP_MODE = 0o600;

/** `volume`: `oracle`, or `oracle@1` in another universe. */
export function backupFile(directory: string, volume: string, snapshot: string): string {
  return path.join(directory, `${snapshotName(volume, snapshot)}.qcow2`);
}

/** Reads what is known of a backup. Throws E_USAGE if there is none, or it is of another program. */
export async function readBackup(file: string): Promise<BackupRecord> {
  const record = `${file}.json`;
  try {
    await stat(file);
    const { size } = await stat(record);
    const value: unknown = size > RECORD_MAX_BYTES ? null : JSON.parse(await readFile(record, 'utf8'));
    if (isBackupRecord(value)) return value;
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === undefined && !(thrown instanceof SyntaxError)) throw thrown;
    if (errno !== undefined)
      throw new RsError('E_USAGE', `There is no backup ${file} with its description ${record} (${errno}): make it first`);
  }
  throw new RsError('E_USAGE', `${record} does not describe a backup: restore it, or make a full backup`);
}

/** Throws E_USAGE if there is no file with this name. */
export async function findBackup(file: string): Promise<void> {
  try {
    await stat(file);
  } catch (thrown) {
    throw new RsError('E_USAGE', `There is no backup ${file} (${errnoName(thrown) ?? '?'}): name a file that rsconfig backup has made`);
  }
}

/** Makes an empty file for a backup that is being written, which only this user can read. Throws E_EXISTS if the backup exists. */
export async function beginBackup(file: string, note: (sentence: string) => void): Promise<string> {
  const made = await mkdir(path.dirname(file), { recursive: true });
  if (made !== undefined) note(`Directory ${made} did not exist and was made: mount the disk for backups first if it belongs there`);
  if ((await stat(file).catch(() => null)) !== null)
    throw new RsError('E_EXISTS', `Backup ${file} exists: choose another directory, or remove it`);
  const part = `${file}.part`;
  // A backup that was interrupted.
  await rm(part, { force: true });
  await (await open(part, 'wx', BACKUP_MODE)).close();
  return part;
}

/** Makes a backup durable under its final name. */
export async function endBackup(part: string, file: string, record: BackupRecord): Promise<void> {
  const handle = await open(part, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await replaceFile(`${file}.json`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(part, file);
  await syncDirectory(path.dirname(file));
}

export async function dropBackup(part: string): Promise<void> {
  await rm(part, { force: true });
}

function isBackupRecord(value: unknown): value is BackupRecord {
  if (!isRecord(value)) return false;
  const { snapshot, snapshotId, sizeBytes, base } = value;
  return isText(snapshot) && isText(snapshotId) && isWhole(sizeBytes) && (base === null || (isText(base) && path.basename(base) === base));
}
