// Changes the files with which a volume moves to another pool: the clones in the old pool, the copy in the new pool, and the files of
// both pools in the last step. Invariants: until `commit`, the new pool only has a copy, which may be deleted at any time. The old pool's
// manifest names the new pool before `commit` (`movedTo`), and the new pool's manifest names the old pool (`movedFrom`) until the old
// pool has no file of the volume.

import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName } from '@rsio/base/lib/errors';
import { storageStamp } from '../../storage/files/storage-identity.ts';
import { createData, type Reflink, writeNew } from '../disk/data-file.ts';
import { type Manifest, printManifest } from '../disk/manifest.ts';
import { isThere, type PoolFiles, readRecordFile } from '../disk/pool-files.ts';
import { poolPaths, PURGE_PREFIX } from '../disk/pool-paths.ts';
import { checkReflink, cloneAll, type CloneSource, FileCopy, finishCopy, SNAPSHOT_MODE } from '../snapshots/file-copy.ts';
import { isWithoutReflink, systemReflink } from '../snapshots/reflink.ts';
import { parseSnapshot, printSnapshot, snapshotFileOf, snapshotPaths, type SnapshotRecord } from '../snapshots/snapshot-record.ts';

const FOLDER_MODE = 0o700;
const DATA_MODE = 0o600;

/** Clones of the volume in the old pool. The copy in the new pool has the whole content of `base`, and a part of the content of `next`. */
export interface CloneFiles {
  readonly base: string;
  readonly next: string;
}

export function cloneFiles(pool: string, id: string): CloneFiles {
  const folder = poolPaths.movingVolume(pool, id);
  return { base: join(folder, 'base'), next: join(folder, 'next') };
}

/** Returns the stamp of a file; null if the file does not exist, or if nothing distinguishes it from other files (`storageStamp`). */
export async function stampOf(file: string): Promise<string | null> {
  try {
    return storageStamp(await stat(file, { bigint: true }), file);
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

export class MoveFiles {
  private readonly files: PoolFiles;
  private readonly directory: string;

  constructor(files: PoolFiles) {
    this.files = files;
    this.directory = files.directory;
  }

  /** Creates the copy in the new pool as a file of zeros, and returns its stamp. */
  async begin(id: string, sizeBytes: number, thick: boolean): Promise<string | null> {
    const folder = await this.makeFolder(id);
    const stamp = await createData(this.files.ports, 'move', poolPaths.data(folder), sizeBytes, thick);
    await syncDirectory(folder);
    this.reached('move: begun');
    return stamp;
  }

  /** Creates the copy in the new pool as a clone of another file of that pool. Returns false if the file system cannot clone. */
  async beginAs(id: string, { from, fromBytes }: CloneSource, sizeBytes: number): Promise<boolean> {
    const folder = await this.makeFolder(id);
    const file = poolPaths.data(folder);
    try {
      await (this.files.ports.reflink ?? systemReflink()).cloneFile(from, file);
    } catch (thrown) {
      if (isWithoutReflink(errnoName(thrown))) return false;
      throw thrown;
    }
    await finishCopy(file, sizeBytes, DATA_MODE, fromBytes);
    await syncDirectory(folder);
    this.reached('move: begun');
    return true;
  }

  /**
   * Clones the copy in the new pool to a file `base` beside the copy, and returns the stamp of `base`. Throws a system error if
   * cloning fails.
   */
  async keep(id: string, sizeBytes: number): Promise<string | null> {
    const folder = poolPaths.movingVolume(this.directory, id);
    const file = poolPaths.baseData(folder);
    await rm(file, { force: true });
    await (this.files.ports.reflink ?? systemReflink()).cloneFile(poolPaths.data(folder), file);
    await finishCopy(file, sizeBytes, DATA_MODE);
    await syncDirectory(folder);
    this.reached('move: kept');
    return stampOf(file);
  }

  /** Extends the copy in the new pool after the volume has grown. `sizeBytes`: the new size of the volume. */
  async extend(id: string, sizeBytes: number, thick: boolean): Promise<void> {
    const file = poolPaths.data(poolPaths.movingVolume(this.directory, id));
    const handle = await open(file, 'r+');
    try {
      const { size } = await handle.stat();
      if (size < sizeBytes) await handle.truncate(sizeBytes);
      if (thick && size < sizeBytes) await this.files.ports.allocate(file, size, sizeBytes);
    } finally {
      await handle.close();
    }
  }

  /**
   * Clones the file of a snapshot in the old pool to `next`, or the file of the volume if `snapshot` is null. `next` gets the size of
   * the volume. The chunks of a clone of the volume need not be of one moment, because the move copies only the differences between
   * two clones. Returns the stamp of `next`. Throws a system error if the file system cannot clone.
   */
  async makeNext(id: string, sizeBytes: number, snapshot: SnapshotRecord | null): Promise<string | null> {
    await this.makeFolder(id);
    const { next } = cloneFiles(this.directory, id);
    await rm(next, { force: true });
    const from = this.source(id, snapshot);
    const copy = await FileCopy.begin(this.reflink, id, snapshot?.sizeBytes ?? sizeBytes, from, next);
    try {
      await cloneAll(copy);
    } finally {
      await copy.close();
    }
    await finishCopy(next, sizeBytes, DATA_MODE, snapshot?.sizeBytes ?? sizeBytes);
    await syncDirectory(poolPaths.movingVolume(this.directory, id));
    this.reached('move: cloned');
    return stampOf(next);
  }

  /** Returns the path of the snapshot's file in the old pool, or of the volume's file if `snapshot` is null. */
  source(id: string, snapshot: SnapshotRecord | null): string {
    const folder = poolPaths.volume(this.directory, id);
    return snapshot === null ? poolPaths.data(folder) : snapshotPaths.data(folder, snapshot.name);
  }

  /** Makes `next` the new `base` in the old pool. The copy in the new pool must already have the whole content of `next` durably. */
  async nextIsCopied(id: string): Promise<void> {
    const { base, next } = cloneFiles(this.directory, id);
    await rename(next, base);
    await syncDirectory(poolPaths.movingVolume(this.directory, id));
    this.reached('move: copied');
  }

  /**
   * Renames `base` in the old pool. Must be called before the last step writes to the copy. After that write, the copy differs from
   * `base`, and differences from `base` no longer show what the copy lacks. If the last step fails, the move must begin again.
   */
  async spendBase(id: string): Promise<void> {
    const { base } = cloneFiles(this.directory, id);
    await rename(base, `${base}.spent`);
    await syncDirectory(poolPaths.movingVolume(this.directory, id));
    this.reached('move: spent');
  }

  /** Deletes the files of an uncommitted move in either pool. */
  async discard(id: string): Promise<void> {
    const moving = poolPaths.moving(this.directory);
    if (!(await isThere(moving))) return;
    await rm(poolPaths.movingVolume(this.directory, id), { recursive: true, force: true });
    await syncDirectory(moving);
    this.reached('move: discarded');
  }

  /**
   * Copies the gate record, if there is one, from the old pool, whose directory is `from`. No client may be able to replace the record
   * meanwhile.
   */
  async carryRecord(id: string, from: string): Promise<void> {
    const old = poolPaths.record(poolPaths.volume(from, id));
    const file = poolPaths.record(poolPaths.movingVolume(this.directory, id));
    // The new pool may have the record of an attempt that has failed.
    await rm(file, { force: true });
    if (await isThere(old)) await replaceFile(file, await readRecordFile(old));
    this.reached('move: record');
  }

  /**
   * Turns the copy in the new pool into the volume. The manifest in the old pool must have `movedTo`. The rename of the copy's folder
   * is the commit point.
   */
  async commit(manifest: Manifest): Promise<void> {
    const folder = poolPaths.movingVolume(this.directory, manifest.id);
    await rm(poolPaths.manifest(folder), { force: true });
    await writeNew(poolPaths.manifest(folder), printManifest(manifest));
    await syncDirectory(folder);
    this.reached('move: manifest');
    await rename(folder, poolPaths.volume(this.directory, manifest.id));
    this.reached('move: commit');
    await syncDirectory(poolPaths.volumes(this.directory));
    await syncDirectory(poolPaths.moving(this.directory));
    this.reached('move: durable');
  }

  /** Deletes the files of the volume in the old pool. Must be called only after the commit point. */
  async forget(id: string): Promise<void> {
    const removed = poolPaths.removed(this.directory);
    const folder = join(removed, PURGE_PREFIX + id);
    await rename(poolPaths.volume(this.directory, id), folder);
    await syncDirectory(poolPaths.volumes(this.directory));
    await syncDirectory(removed);
    this.reached('move: left');
    await rm(folder, { recursive: true, force: true });
    await this.discard(id);
  }

  /** Throws E_NO_REFLINK, naming the new pool, if the new pool cannot have snapshots. */
  async checkReflink(id: string): Promise<void> {
    const probe = join(poolPaths.movingVolume(this.directory, id), 'probe');
    await rm(probe, { force: true });
    await checkReflink(this.reflink, poolPaths.identity(this.directory), probe, this.directory);
  }

  /** Makes a snapshot of the copy in the new pool. The copy must have the content that this snapshot has in the old pool. */
  async carry(record: SnapshotRecord): Promise<void> {
    const folder = poolPaths.movingVolume(this.directory, record.volumeId);
    const { name } = record;
    await mkdir(poolPaths.snapshots(folder), { recursive: true, mode: FOLDER_MODE });
    const [description, data, copy] = [
      snapshotPaths.record(folder, name),
      snapshotPaths.data(folder, name),
      snapshotPaths.newData(folder, name),
    ];
    for (const file of [description, data, copy]) await rm(file, { force: true });
    await this.reflink.cloneFile(poolPaths.data(folder), copy);
    await finishCopy(copy, record.sizeBytes, SNAPSHOT_MODE);
    await rename(copy, data);
    this.reached('move: snapshot data');
    await replaceFile(description, printSnapshot(record));
    await syncDirectory(folder);
    this.reached('move: snapshot');
  }

  /** Returns the ids of the snapshots that the new pool already has. */
  async carried(id: string): Promise<ReadonlySet<string>> {
    const folder = poolPaths.movingVolume(this.directory, id);
    const found = new Set<string>();
    for (const file of await namesIn(poolPaths.snapshots(folder))) {
      const { name, kind, isUnfinished } = snapshotFileOf(file) ?? { name: '', kind: 'data', isUnfinished: true };
      if (isUnfinished || kind !== 'json') continue;
      const path = snapshotPaths.record(folder, name);
      found.add(parseSnapshot(path, await readFile(path, 'utf8')).id);
    }
    return found;
  }

  /** Deletes the files of all snapshots in the new pool that are not in `records`. */
  async keepOnly(id: string, records: readonly SnapshotRecord[]): Promise<void> {
    const folder = poolPaths.snapshots(poolPaths.movingVolume(this.directory, id));
    const kept = new Set(records.flatMap(({ name }) => [`${name}.json`, `${name}.data`]));
    const names = await namesIn(folder);
    for (const name of names) if (!kept.has(name)) await rm(join(folder, name), { force: true });
    if (names.length > 0) await syncDirectory(folder);
    this.reached('move: snapshots');
  }

  protected get reflink(): Reflink {
    return this.files.ports.reflink ?? systemReflink();
  }

  private async makeFolder(id: string): Promise<string> {
    const folder = poolPaths.movingVolume(this.directory, id);
    for (const one of [poolPaths.moving(this.directory), folder]) {
      try {
        await mkdir(one, { mode: FOLDER_MODE });
      } catch (thrown) {
        if (errnoName(thrown) !== 'EEXIST') throw thrown;
      }
    }
    await syncDirectory(this.directory);
    await syncDirectory(poolPaths.moving(this.directory));
    return folder;
  }

  protected reached(step: string): void {
    this.files.ports.reached?.(step);
  }
}

/** Returns the names in a folder; no names if the folder does not exist. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
