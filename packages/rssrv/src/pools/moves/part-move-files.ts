// Moves one part of a volume over several pools: changes the files in the old pool and in the new pool. The part and the parts of its
// snapshots keep their ids and become new parts in the new pool; the manifest in the home then commits the move. Invariants: until
// `install`, the new pool only has a copy, which may be deleted at any time. A folder with a record contains a complete part.

import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { type PartRecord, printPart } from '../disk/manifest.ts';
import { isThere, type PoolFiles } from '../disk/pool-files.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { finishCopy, SNAPSHOT_MODE } from '../snapshots/file-copy.ts';
import type { SnapshotRecord } from '../snapshots/snapshot-record.ts';
import { MoveFiles, namesIn } from './move-files.ts';

const FOLDER_MODE = 0o700;

/** The moved parts in the new pool. */
export interface MovedPart {
  readonly record: PartRecord;
  /** Maps the id of a snapshot to its part. */
  readonly snapshots: ReadonlyMap<string, PartRecord>;
}

export class PartMoveFiles extends MoveFiles {
  private readonly pool: PoolFiles;
  private readonly moved: MovedPart;
  /** Path of the folder with complete parts, inside the folder of the move. */
  private readonly parts: string;

  constructor(pool: PoolFiles, moved: MovedPart) {
    super(pool);
    this.pool = pool;
    this.moved = moved;
    this.parts = join(poolPaths.movingVolume(pool.directory, moved.record.volumeId), 'parts');
  }

  override source(_id: string, snapshot: SnapshotRecord | null): string {
    const part = snapshot === null ? this.moved.record : this.moved.snapshots.get(snapshot.id);
    return poolPaths.data(poolPaths.part(this.pool.directory, part?.fileId ?? ''));
  }

  override async carry({ id }: SnapshotRecord): Promise<void> {
    const part = this.moved.snapshots.get(id);
    if (part === undefined) return;
    const folder = await this.newFolder(part);
    await this.reflink.cloneFile(poolPaths.data(this.folder), poolPaths.data(folder));
    await finishCopy(poolPaths.data(folder), part.sizeBytes, SNAPSHOT_MODE);
    this.reached('move: snapshot data');
    await this.finish(part, folder);
    this.reached('move: snapshot');
  }

  override async carried(): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const [id, { fileId }] of this.moved.snapshots) if (await isThere(poolPaths.partRecord(join(this.parts, fileId)))) found.add(id);
    return found;
  }

  override async keepOnly(_id: string, records: readonly SnapshotRecord[]): Promise<void> {
    const kept = new Set(records.map(({ id }) => this.moved.snapshots.get(id)?.fileId));
    for (const name of await namesIn(this.parts)) if (!kept.has(name)) await rm(join(this.parts, name), { recursive: true, force: true });
    this.reached('move: snapshots');
  }

  /**
   * Turns the copy of the part, and the copies of the parts of snapshots, into new parts of the new pool. The manifest in the home
   * decides whether these parts stay.
   */
  async install(): Promise<void> {
    const { record, snapshots } = this.moved;
    const folder = await this.newFolder(record);
    await rename(poolPaths.data(this.folder), poolPaths.data(folder));
    this.reached('move: part data');
    await this.finish(record, folder);
    await this.pool.parts.adopt([record, ...snapshots.values()].map(({ fileId }) => [fileId, join(this.parts, fileId)]));
  }

  private get folder(): string {
    return poolPaths.movingVolume(this.pool.directory, this.moved.record.volumeId);
  }

  private async newFolder({ fileId }: PartRecord): Promise<string> {
    const folder = join(this.parts, fileId);
    await rm(folder, { recursive: true, force: true });
    await mkdir(this.parts, { recursive: true, mode: FOLDER_MODE });
    await mkdir(folder, { mode: FOLDER_MODE });
    return folder;
  }

  /** Completes the folder of a part. Writes the record last, because a folder with a record counts as complete. */
  private async finish(part: PartRecord, folder: string): Promise<void> {
    await syncDirectory(folder);
    await replaceFile(poolPaths.partRecord(folder), printPart(part));
    await syncDirectory(this.parts);
    await syncDirectory(this.folder);
  }
}
