// Changes the parts in one pool. A part is a file of a volume outside the folder with the volume's manifest. The manifest is usually in
// another pool. The manifest is the commit point of every change; the folders of parts are renamed or deleted after the commit. Invariants:
// until the manifest names a part, the part is new, and its folder has NEW_PREFIX. A part is deleted only if it is new, or if its volume is
// being deleted for good.

import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName } from '@rsio/base/lib/errors';
import { createData, extendData, type PoolFilesPorts } from './data-file.ts';
import { type PartRecord, printPart } from './manifest.ts';
import { NEW_PREFIX, poolPaths, PURGE_PREFIX } from './pool-paths.ts';

const FOLDER_MODE = 0o700;

export class PartFiles {
  private readonly directory: string;
  private readonly ports: PoolFilesPorts;
  /** True if the folder of parts exists durably. */
  private hasParts = false;

  constructor(directory: string, ports: PoolFilesPorts) {
    this.directory = directory;
    this.ports = ports;
  }

  /**
   * Creates a new part durably, and returns the stamp of its file. `makeData` makes and syncs the file, and returns its stamp. If
   * `makeData` is omitted, the file is made of zeros.
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

  /** Makes the folder of a new part and its record. Returns the path at which the caller must make the data file. */
  async begin(record: PartRecord): Promise<string> {
    const folder = join(poolPaths.parts(this.directory), NEW_PREFIX + record.fileId);
    await this.makeParts();
    await mkdir(folder, { mode: FOLDER_MODE });
    this.reached('part: folder');
    await replaceFile(poolPaths.partRecord(folder), printPart(record));
    this.reached('part: record');
    return poolPaths.data(folder);
  }

  /** Syncs the folders of a new part, whose data file has been synced. */
  async end({ fileId }: PartRecord): Promise<void> {
    const parts = poolPaths.parts(this.directory);
    await syncDirectory(join(parts, NEW_PREFIX + fileId));
    await syncDirectory(parts);
    this.reached('part: durable');
  }

  /** Removes NEW_PREFIX from the folder of a part. The manifest must already name the part. */
  confirm(fileId: string): Promise<void> {
    return this.confirmAll([fileId]);
  }

  async confirmAll(fileIds: readonly string[]): Promise<void> {
    await this.moveAll(fileIds.map((fileId) => [NEW_PREFIX + fileId, fileId]));
    this.reached('part: confirmed');
  }

  /** Adds NEW_PREFIX to the folder of a part. Must be called before a manifest without the part is written. */
  doubt(fileId: string): Promise<void> {
    return this.doubtAll([fileId]);
  }

  async doubtAll(fileIds: readonly string[]): Promise<void> {
    await this.moveAll(fileIds.map((fileId) => [fileId, NEW_PREFIX + fileId]));
    this.reached('part: doubted');
  }

  /**
   * Turns folders of this file system into new parts, by renaming them. `folders`: pairs, each with the id of a part and the current path
   * of its folder. The content of the folders must already be durable.
   */
  async adopt(folders: readonly (readonly [fileId: string, folder: string])[]): Promise<void> {
    await this.makeParts();
    const parts = poolPaths.parts(this.directory);
    for (const [fileId, folder] of folders) await rename(folder, join(parts, NEW_PREFIX + fileId));
    await syncDirectory(parts);
    this.reached('part: adopted');
  }

  /**
   * Extends the file of a part. Writes the new size to the part's record before it extends the file, so that the pool never promises
   * less than the file may need.
   */
  async extend(record: PartRecord, fromBytes: number, thick: boolean): Promise<void> {
    const folder = poolPaths.part(this.directory, record.fileId);
    // `stat` fails if the folder has vanished, so that `replaceFile` does not make the folder again.
    await stat(folder);
    await replaceFile(poolPaths.partRecord(folder), printPart(record));
    this.reached('grow: record');
    await extendData(this.ports, poolPaths.data(folder), fromBytes, record.sizeBytes, thick);
  }

  /** Deletes a part for good. After the first step, the part cannot be restored. */
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

  /**
   * Makes the folder of parts on first use. Syncs the folder even if it exists, because the server may have stopped before the folder
   * was synced.
   */
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
