// Reads and changes the folder in which `backup-run` keeps the backups of a volume. generations.ts decides what is made and removed.
// Invariants: a description is there before the file that it describes and before the next step after the snapshot, and it is removed last,
// so that an interrupted run leaves nothing that the next run does not know. A file without a description of a run is never removed.

import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { acquireCommandLock, type PidFile } from '@rsio/base/daemon/pid-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { readChain, readHeader } from './backup-chain.ts';
import { partFile } from './backup-files.ts';
import { readRecord, recordFile, writeRecord } from './backup-record.ts';
import type { OtherFile, RunBackup } from './generations.ts';

export interface RunFolder {
  readonly backups: readonly RunBackup[];
  readonly others: readonly OtherFile[];
}

const END = '.qcow2';

/**
 * Does `work` while no other command of this machine works with the backups of the volume in this directory. `volume`: as in file names.
 * Throws E_BUSY if one does. Unless `isNeeded`, a directory that does not exist, or in which this user cannot make the lock, is
 * used without it.
 */
export async function withBackups<T>(directory: string, volume: string, isNeeded: boolean, work: () => Promise<T>): Promise<T> {
  const lock = locked(path.join(directory, `${volume}.run`), isNeeded);
  try {
    return await work();
  } finally {
    lock?.release();
  }
}

function locked(file: string, isNeeded: boolean): PidFile | null {
  if (!isNeeded && !existsSync(path.dirname(file))) return null;
  const who = (pid: string): string => `Another backup, restore or verification uses these backups (process ${pid}, ${file})`;
  try {
    return acquireCommandLock(file, (pid) => `${who(pid)}: wait for its end, and try again`);
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (code === 'E_BUSY') throw thrown;
    if (!isNeeded) return null;
    throw new RsError('E_SYSTEM', `${message}; the file system must permit hard links`, {}, thrown);
  }
}

/** Reads the folder. `label`: of the volume, such as `osl:oracle@0`; `volume`: as in file names. `note` gets what cannot be used. Throws E_USAGE and system errors. */
export async function readRunFolder(directory: string, label: string, volume: string, note: (text: string) => void): Promise<RunFolder> {
  const files = new Set(await readdir(directory));
  const backups: RunBackup[] = [];
  for (const name of describedIn(files, volume)) {
    const file = path.join(directory, name);
    const record = await readRecord(file).catch((thrown: unknown) => {
      note(`${toRsError(thrown).message}; no run uses or removes it`);
      return null;
    });
    if (!record?.snapshot.startsWith(`${label}@`) || record.run === null) continue;
    const { snapshotId, base, run } = record;
    const snapshot = record.snapshot.slice(label.length + 1);
    const [isThere, hasPart] = [files.has(name), files.has(partFile(name))];
    const problem = isThere ? (run.state === 'made' ? await problemOf(file) : null) : `file ${name} is missing`;
    backups.push({ name, snapshot, snapshotId, base, ...run, isThere, hasPart, problem });
  }
  const named = new Set(backups.map(({ name }) => name));
  const others: OtherFile[] = [];
  for (const name of files) {
    if (!name.endsWith(END) || named.has(name)) continue;
    const header = await readHeader(path.join(directory, name)).catch(() => null);
    others.push({ name, base: header === null || typeof header === 'string' ? null : header.backing });
  }
  return { backups, others };
}

/**
 * Returns the names of all backups of the volume: of those with a file, of those with a description, and of those with both. What an
 * interrupted run or backup has left is no backup; `note` is told of it.
 */
export async function filesToVerify(directory: string, volume: string, note: (text: string) => void): Promise<readonly string[]> {
  const files = new Set(await readdir(directory));
  const names = new Set([...describedIn(files, volume), ...namesOf(files, volume, END)]);
  const verified: string[] = [];
  for (const name of [...names].toSorted()) {
    const record = await readRecord(path.join(directory, name)).catch(() => null);
    const state = record?.run?.state ?? 'made';
    const isLeft = state !== 'made' || (!files.has(name) && files.has(partFile(name)));
    if (isLeft) note(`${name} was left by an interrupted backup, and is no backup`);
    else verified.push(name);
  }
  return verified;
}

/** The snapshot of a file name has no @, so that `oracle@1@monday` is not of volume `oracle` in universe 0. */
function namesOf(files: Iterable<string>, volume: string, end: string): readonly string[] {
  const isOf = (name: string): boolean => name.startsWith(`${volume}@`) && !name.slice(volume.length + 1).includes('@');
  return [...files].filter((name) => name.endsWith(end) && isOf(name)).toSorted();
}

/** Returns the names of the files that have a description. */
function describedIn(files: Iterable<string>, volume: string): readonly string[] {
  return namesOf(files, volume, `${END}.json`).map((name) => name.slice(0, -'.json'.length));
}

function problemOf(file: string): Promise<string | null> {
  return readChain(file, false).then(
    () => null,
    (thrown: unknown) => toRsError(thrown).message,
  );
}

/**
 * Removes the files of a backup, and then its description if `removeSnapshot` resolves. If `removeSnapshot` rejects, the description stays,
 * so that the next run tries again.
 */
export async function removeBackup(directory: string, { name, state }: RunBackup, removeSnapshot: () => Promise<void>): Promise<void> {
  const file = path.join(directory, name);
  const record = await readRecord(file);
  // A backup by hand has taken the name, with its snapshot.
  if (record?.run === null) return;
  if (record !== null && state === 'made') await writeRecord(file, { ...record, run: { ...record.run, state: 'removing' } });
  if (record !== null) for (const one of [file, partFile(file)]) await rm(one, { force: true });
  await syncDirectory(directory);
  await removeSnapshot();
  await rm(recordFile(file), { force: true });
  await syncDirectory(directory);
}

/** Throws E_USAGE unless the directory exists. A run never makes it, because the disk for backups may not be mounted. */
export async function checkDirectory(directory: string): Promise<void> {
  if ((await stat(directory).catch(() => null))?.isDirectory() === true) return;
  throw new RsError('E_USAGE', `There is no directory ${directory}: mount the disk for backups, or make the directory`);
}
