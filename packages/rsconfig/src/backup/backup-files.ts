// Creates the files of a backup in a directory: NAME@SNAPSHOT.qcow2, and the record NAME@SNAPSHOT.qcow2.json. Invariants: a file with its
// final name is complete and durable; a backup is never replaced.

import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { withFile } from '@rsio/base/files/with-file';
import { nameInUniverse, snapshotName } from '@rsio/base/lib/volume-name';
import { checkFree } from './backup-chain.ts';
import { type BackupRecord, recordFile, writeRecord } from './backup-record.ts';
import { type FileFacts, factsOf } from './link-check.ts';

const BACKUP_MODE = 0o600;

/** Returns the name of a volume in file names: `oracle`, or `oracle@1` in universe 1. */
export function fileVolume({ name, universe }: { readonly name: string; readonly universe: number }): string {
  return universe === 0 ? name : nameInUniverse({ name, universe });
}

/** Returns the path of a backup. `volume`: a text such as `oracle`, or `oracle@1` for a volume in universe 1. */
export function backupFile(directory: string, volume: string, snapshot: string): string {
  return path.join(directory, `${snapshotName(volume, snapshot)}.qcow2`);
}

/** Returns the path of the unfinished file of a backup. */
export function partFile(file: string): string {
  return `${file}.part`;
}

/** Creates an empty temporary file for the backup, which only this user can read. Throws E_EXISTS as `checkFree` does. */
export async function beginBackup(file: string, snapshotId: string, note: (sentence: string) => void): Promise<string> {
  const made = await mkdir(path.dirname(file), { recursive: true });
  if (made !== undefined) note(`Directory ${made} did not exist and was made: mount the disk for backups first if it belongs there`);
  await checkFree(file, snapshotId);
  const part = partFile(file);
  // An interrupted backup may have left this file.
  await rm(part, { force: true });
  await (await open(part, 'wx', BACKUP_MODE)).close();
  return part;
}

/**
 * Makes the backup durable, adds its length and checksum to the record, and renames it to its final name. Throws E_EXISTS as `checkFree`
 * does.
 */
export async function endBackup(part: string, file: string, record: Omit<BackupRecord, keyof FileFacts>): Promise<void> {
  await withFile(part, 'r+', (handle) => handle.sync());
  const facts = await factsOf(part);
  await checkFree(file, record.snapshotId);
  await writeRecord(file, { ...record, ...facts });
  try {
    await rename(part, file);
  } catch (thrown) {
    // A later run removes what a run has left, but nothing removes the description of a backup by hand.
    if (record.run === null) await rm(recordFile(file), { force: true });
    throw thrown;
  }
  await syncDirectory(path.dirname(file));
}
