// Changes the parts in one pool: files of volumes whose manifest is in another pool, their home, or that have more than one file in this
// one. The manifest is the commit point of every change, and a part only follows it. Invariants: a part is new, which its folder's name
// says, until the manifest names it; only a new part, and one whose volume is being deleted for good, is ever deleted.

import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/common/files/durable-write';
import { errnoName } from '@rsio/common/lib/errors';
import { createData, extendData, type PoolFilesPorts } from './data-file.ts';
import { type PartRecord, printPart } from './manifest.ts';
import { NEW_PREFIX, poolPaths, PURGE_PREFIX } from './pool-paths.ts';

const FOLDER_MODE = 0o700;

export class PartFiles {
  private readonly directory: string;
  private readonly ports: PoolFilesPorts;
  /** The folder of parts is durable. */
  private hasParts = false;

  constructor(directory: string, ports: PoolFilesPorts) {
    this.directory = directory;
    this.ports = ports;
  }

  /**
   * Creates a new part durably, and returns the stamp of its file. `makeData`: makes the file, durably except for its name, and returns its
   * stamp; default: a file of zeros.
   */
  async create(
    record: PartRecord,
    thick: boolean,
    makeData: (file: string) => Promise<string | null> = (file) => createData(this.ports, 'part', file, record.sizeBytes, thick),
  ): Promise<string | null> {
    const stamp = await makeData(await this.begin(record));
    await this.end(record);
    return stamp;
  }

  /** Makes the folder of a new part, and its record, which explains the file that follows. Returns the path of that file. */
  async begin(record: PartRecord): Promise<string> {
    const folder = join(poolPaths.parts(this.directory), NEW_PREFIX + record.fileId);
    await this.makeParts();
    await mkdir(folder, { mode: FOLDER_MODE });
    this.reached('part: folder');
    await replaceFile(poolPaths.partRecord(folder), printPart(record));
    this.reached('part: record');
    return poolPaths.data(folder);
  }

  /** Makes a new part durable, whose file is durable except for its name. */
  async end({ fileId }: PartRecord): Promise<void> {
    const parts = poolPaths.parts(this.directory);
    await syncDirectory(join(parts, NEW_PREFIX + fileId));
    await syncDirectory(parts);
    this.reached('part: durable');
  }

  /** Makes a new part one that its volume has, after the manifest names it. */
  confirm(fileId: string): Promise<void> {
    return this.confirmAll([fileId]);
  }

  async confirmAll(fileIds: readonly string[]): Promise<void> {
    await this.moveAll(fileIds.map((fileId) => [NEW_PREFIX + fileId, fileId]));
    this.reached('part: confirmed');
  }

  /** Makes a part new again, before the manifest without it is written. */
  doubt(fileId: string): Promise<void> {
    return this.doubtAll([fileId]);
  }

  async doubtAll(fileIds: readonly string[]): Promise<void> {
    await this.moveAll(fileIds.map((fileId) => [fileId, NEW_PREFIX + fileId]));
    this.reached('part: doubted');
  }

  /** Takes over whole folders of this file system as new parts: pairs of the id of a part and its folder, which is durable. */
  async adopt(folders: readonly (readonly [fileId: string, folder: string])[]): Promise<void> {
    await this.makeParts();
    const parts = poolPaths.parts(this.directory);
    for (const [fileId, folder] of folders) await rename(folder, join(parts, NEW_PREFIX + fileId));
    await syncDirectory(parts);
    this.reached('part: adopted');
  }

  /** Extends the file of a part. The record has the new size first, so that the pool never promises less than it may have to keep. */
  async extend(record: PartRecord, fromBytes: number, thick: boolean): Promise<void> {
    const folder = poolPaths.part(this.directory, record.fileId);
    // Unlike `replaceFile`, does not make a folder that has vanished.
    await stat(folder);
    await replaceFile(poolPaths.partRecord(folder), printPart(record));
    this.reached('grow: record');
    await extendData(this.ports, poolPaths.data(folder), fromBytes, record.sizeBytes, thick);
  }

  /** Deletes a part for good. Once the first step is done, nothing can bring it back. */
  async delete(fileId: string, isNew: boolean): Promise<void> {
    await this.moveAll([[isNew ? NEW_PREFIX + fileId : fileId, PURGE_PREFIX + fileId]]);
    this.reached('part: purged');
    await rm(join(poolPaths.parts(this.directory), PURGE_PREFIX + fileId), { recursive: true, force: true });
    this.reached('part: deleted');
  }

  /** Renames folders of parts. All renames are durable at the end. */
  private async moveAll(names: readonly (readonly [from: string, to: string])[]): Promise<void> {
    const parts = poolPaths.parts(this.directory);
    for (const [from, to] of names) await rename(join(parts, from), join(parts, to));
    await syncDirectory(parts);
  }

  /** The folder exists only in pools that have had parts. A stop may have come before it was durable. */
  private async makeParts(): Promise<void> {
    if (this.hasParts) return;
    try {
      await mkdir(poolPaths.parts(this.directory), { mode: FOLDER_MODE });
    } catch (thrown) {
      if (errnoName(thrown) !== 'EEXIST') throw thrown;
    }
    await syncDirectory(this.directory);
    this.hasParts = true;
  }

  private reached(step: string): void {
    this.ports.reached?.(step);
  }
}
