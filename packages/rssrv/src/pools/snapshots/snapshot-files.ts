// Changes the files of the snapshots of one pool. A snapshot is a clone of the data file with a description beside it. Invariants: a
// snapshot exists once NAME.json exists, and is removed once the file last-removal names its id. snapshot-scan.ts and snapshot-repair.ts
// finish or undo a change that a stop has interrupted. The data of a snapshot is never written to (P2). The caller makes one change at a
// time and decides whether a change is allowed.

import { lstat, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { isSameStamp, storageStamp } from '../../storage/files/storage-identity.ts';
import type { Reflink } from '../disk/data-file.ts';
import { type Manifest, partSizes } from '../disk/manifest.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { checkReflink, checkSource, cloneAll, type CloneSource, cloneAsData, FileCopy, finishCopy, SNAPSHOT_MODE } from './file-copy.ts';
import { systemReflink } from './reflink.ts';
import { filesOf, printSnapshot, printSnapshotRemoval, snapshotPaths, type SnapshotRecord } from './snapshot-record.ts';

const FOLDER_MODE = 0o700;
const DATA_MODE = 0o600;

export class SnapshotFiles {
  private readonly files: PoolFiles;
  readonly directory: string;
  private readonly reflink: Reflink;
  private readonly reached: (step: string) => void;

  constructor(files: PoolFiles) {
    const { directory, ports } = files;
    this.files = files;
    this.directory = directory;
    this.reflink = ports.reflink ?? systemReflink();
    this.reached = (step) => ports.reached?.(step);
  }

  /** Prepares the copy of a volume for a snapshot. Clones nothing yet. Throws E_NO_REFLINK, E_EXISTS, E_VOLUME or a system error. */
  async begin(record: SnapshotRecord): Promise<FileCopy> {
    const sizeBytes = firstSize(record);
    return this.beginCopy({ id: record.volumeId, sizeBytes }, await this.roomFor(record));
  }

  /**
   * Prepares a snapshot with the content of the file `from`, which nothing writes to. The snapshot exists only once `commit` has been
   * called. Throws like `begin`.
   */
  async prepareFrom(record: SnapshotRecord, from: string): Promise<SnapshotRecord> {
    const to = await this.roomFor(record);
    const fromBytes = firstSize(record);
    await cloneAsData(this.reflink, { from, fromBytes }, to, fromBytes, this.directory);
    return this.prepare(record);
  }

  /** Returns the path for the data of a new snapshot, at which no file exists. */
  private async roomFor({ name, volumeId }: SnapshotRecord): Promise<string> {
    const folder = this.folderOf(volumeId);
    await makeFolder(folder);
    this.reached('snapshot: folder');
    for (const file of [snapshotPaths.record(folder, name), snapshotPaths.data(folder, name)]) {
      if (await exists(file)) throw new RsError('E_EXISTS', `${file} exists, and belongs to no snapshot: move it elsewhere`, { file });
    }
    await this.undo(folder, name);
    return snapshotPaths.newData(folder, name);
  }

  /** Prepares a copy of the first file of a volume in the new file `to`. Clones nothing yet. Throws like `begin`, except E_EXISTS. */
  async beginCopy({ id, sizeBytes }: Pick<Manifest, 'id' | 'sizeBytes'>, to: string): Promise<FileCopy> {
    const folder = this.folderOf(id);
    const from = poolPaths.data(folder);
    await checkSource(from, sizeBytes);
    await checkReflink(this.reflink, poolPaths.manifest(folder), to, this.directory);
    return FileCopy.begin(this.reflink, id, sizeBytes, from, to);
  }

  /** Syncs a cloned copy. The snapshot does not exist yet when this is called. */
  async flush(record: SnapshotRecord): Promise<void> {
    const file = snapshotPaths.newData(this.folderOf(record.volumeId), record.name);
    await finishCopy(file, firstSize(record), SNAPSHOT_MODE);
    this.reached('snapshot: flushed');
  }

  /**
   * Clones a file of a snapshot into the folder of a volume that is being created, and syncs the clone. `index`: index of the file in
   * the volume.
   */
  async cloneAside(id: string, index: number, source: CloneSource, sizeBytes: number): Promise<void> {
    const folder = this.files.unfinished(id);
    if (!(await exists(folder))) await this.files.begin(id);
    await cloneAsData(this.reflink, source, asideFile(folder, index), sizeBytes, this.directory);
    this.reached('clone: aside');
  }

  /** Moves a file that `cloneAside` has made to `to`, the data file of a new part. Syncs no folder. Returns the stamp of the file. */
  async takeAside(id: string, index: number, to: string): Promise<string | null> {
    await rename(asideFile(this.files.unfinished(id), index), to);
    this.reached('clone: part');
    return storageStamp(await stat(to, { bigint: true }), to);
  }

  /** Commits a volume whose first file `cloneAside` has made. `otherStamps`: stamps of the volume's other files. */
  async commitAside(manifest: Omit<Manifest, 'stamps'>, otherStamps: readonly (string | null)[]): Promise<Manifest> {
    const folder = this.files.unfinished(manifest.id);
    for (const [index] of partSizes(manifest).entries()) if (index > 0) await rm(asideFile(folder, index), { force: true });
    const file = asideFile(folder, 0);
    const stamp = storageStamp(await stat(file, { bigint: true }), file);
    return this.files.commit({ ...manifest, stamps: [stamp, ...otherStamps] });
  }

  /**
   * Makes a cloned copy durable as a prepared snapshot. The commit of the group's home, or of the rollback that makes the snapshot, then
   * decides whether the snapshot exists. `otherBytes`: bytes that the snapshot's files in other folders occupy. Returns the record with the
   * bytes that all files of the snapshot occupy.
   */
  async prepare(record: SnapshotRecord, otherBytes = 0): Promise<SnapshotRecord> {
    const folder = this.folderOf(record.volumeId);
    this.reached('snapshot: cloned');
    const bytes = await finishCopy(snapshotPaths.newData(folder, record.name), firstSize(record), SNAPSHOT_MODE);
    this.reached('snapshot: data');
    const whole = { ...record, usedBytes: bytes + otherBytes };
    await replaceFile(snapshotPaths.newRecord(folder, record.name), printSnapshot(whole));
    this.reached('snapshot: prepared');
    return whole;
  }

  /** Prepares a snapshot of a volume that no client writes to. The snapshot exists only once `commit` has been called. */
  async makePrepared(record: SnapshotRecord): Promise<SnapshotRecord> {
    const copy = await this.begin(record);
    try {
      await cloneAll(copy);
    } finally {
      await copy.close();
    }
    return this.prepare(record);
  }

  /** Commits a prepared snapshot, which then exists. `folder`: the folder of the volume. */
  async commit(name: string, folder: string): Promise<void> {
    await rename(snapshotPaths.newRecord(folder, name), snapshotPaths.record(folder, name));
    this.reached('snapshot: commit');
    await syncDirectory(snapshotPaths.folder(folder));
    await this.finish(name, folder);
    this.reached('snapshot: durable');
  }

  /** Replaces the description of an existing snapshot. */
  async rewrite(record: SnapshotRecord): Promise<void> {
    await replaceFile(snapshotPaths.record(this.folderOf(record.volumeId), record.name), printSnapshot(record));
    this.reached('snapshot: proven');
  }

  /** Renames the data of an existing snapshot to its final name. */
  private async finish(name: string, folder: string): Promise<void> {
    await rename(snapshotPaths.newData(folder, name), snapshotPaths.data(folder, name));
    await syncDirectory(snapshotPaths.folder(folder));
  }

  /** Deletes the files of an unfinished snapshot. Neither the files nor their folder need exist. */
  async undo(folder: string, name: string): Promise<void> {
    await rm(snapshotPaths.newRecord(folder, name), { force: true });
    await rm(snapshotPaths.newData(folder, name), { force: true });
    if (await exists(snapshotPaths.folder(folder))) await syncDirectory(snapshotPaths.folder(folder));
  }

  /** Removes a snapshot durably. `request`: stamp of the request. */
  async remove({ id, name, volumeId }: SnapshotRecord, request: string | null): Promise<void> {
    const folder = this.folderOf(volumeId);
    await stat(snapshotPaths.folder(folder));
    await this.files.spare.replaceFile(snapshotPaths.removal(folder), printSnapshotRemoval({ id, name, request }));
    this.reached('snapshot removal: commit');
    await rm(snapshotPaths.data(folder, name), { force: true });
    this.reached('snapshot removal: data');
    await rm(snapshotPaths.record(folder, name), { force: true });
    await syncDirectory(snapshotPaths.folder(folder));
    this.reached('snapshot removal: durable');
  }

  /**
   * Makes a new data file as a clone of the snapshot, extended with zeros. Syncs the file, but not its folder. Returns the stamp of
   * the file.
   */
  cloneData(record: SnapshotRecord, to: string, sizeBytes: number): Promise<string | null> {
    const from = snapshotPaths.data(this.folderOf(record.volumeId), record.name);
    return this.cloneOf({ from, fromBytes: firstSize(record) }, 'clone', to, sizeBytes);
  }

  /** Like `cloneData`, but clones any file that no client writes to. `verb`: the first word of the name of the step. */
  async cloneOf(from: CloneSource, verb: string, to: string, sizeBytes: number): Promise<string | null> {
    const stamp = await cloneAsData(this.reflink, from, to, sizeBytes, this.directory);
    this.reached(`${verb}: data`);
    return stamp;
  }

  /**
   * Makes a finished copy usable as the data file of a volume, and syncs the file, but not its folder. Returns the stamp of the file.
   * `verb`: the first word of the name of the step. `contentBytes`: what the copy must have of its source.
   */
  async finishData(verb: string, file: string, sizeBytes: number, contentBytes: number): Promise<string | null> {
    await finishCopy(file, sizeBytes, DATA_MODE, contentBytes);
    this.reached(`${verb}: data`);
    return storageStamp(await stat(file, { bigint: true }), file);
  }

  /**
   * Deletes an old `data.new`, and returns the path for the new one. Throws E_VOLUME if the current data file does not have the stamp in
   * the manifest, because the next start could then not choose between `data` and `data.new`.
   */
  async roomForNext({ id, name, stamps: [wanted = null] }: Manifest): Promise<string> {
    const folder = this.folderOf(id);
    const [present, file] = [poolPaths.data(folder), poolPaths.nextData(folder)];
    const presentStamp = storageStamp(await stat(present, { bigint: true }), present);
    if (!isSameStamp(presentStamp, wanted))
      throw new RsError(
        'E_VOLUME',
        `${present} is not the file that volume ${name} was created with: if it has the right content, run ` +
          `rsadm volume set ${name} same-content=${presentStamp}`,
        { file: present },
      );
    await rm(file, { force: true });
    return file;
  }

  /** Syncs the folder of the new data file. `stamp`: the stamp of the finished file. */
  async nextIsMade(verb: string, file: string, stamp: string | null): Promise<string> {
    if (stamp === null)
      throw new RsError('E_POOL', `${file} cannot be told from other files: use a file system with lasting inode numbers`, { file });
    await syncDirectory(dirname(file));
    this.reached(`${verb}: data`);
    return stamp;
  }

  /** Makes `data.new`, with which a rollback replaces the data file, and returns its stamp. */
  async makeNext(record: SnapshotRecord, manifest: Manifest): Promise<string> {
    const file = await this.roomForNext(manifest);
    const [sizeBytes = 0] = partSizes(manifest);
    return this.nextIsMade('rollback', file, await this.cloneData(record, file, sizeBytes));
  }

  /** Deletes the new data file of an undone change. */
  async dropNext(volumeId: string): Promise<void> {
    const folder = this.folderOf(volumeId);
    await rm(poolPaths.nextData(folder), { force: true });
    await syncDirectory(folder);
  }

  /** Renames `data.new` to `data`. The manifest must already have the stamp of `data.new`. */
  async putNext(volumeId: string, verb = 'rollback'): Promise<void> {
    const folder = this.folderOf(volumeId);
    await rename(poolPaths.nextData(folder), poolPaths.data(folder));
    this.reached(`${verb}: replaced`);
    await syncDirectory(folder);
    this.reached(`${verb}: durable`);
  }

  private folderOf(volumeId: string): string {
    return poolPaths.volume(this.directory, volumeId);
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(snapshotPaths.folder(folder), { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errnoName(thrown) === 'EEXIST') return;
    throw thrown;
  }
  await syncDirectory(folder);
}

async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** Returns the path at which `cloneAside` makes a file. The first file has its final name from the beginning. */
function asideFile(folder: string, index: number): string {
  return index === 0 ? poolPaths.data(folder) : `${poolPaths.data(folder)}-${index}`;
}

/** Returns the size of the first file of a snapshot. */
function firstSize(record: SnapshotRecord): number {
  return partSizes(filesOf(record))[0] ?? 0;
}
