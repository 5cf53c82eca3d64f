// Changes the parts of snapshots in one pool. Such a part is a clone of a part of a volume of several files. A part of a snapshot is
// stored like a part of a volume, with the id of the snapshot in its record. Invariants: until the description of the snapshot is
// committed, its parts are new, and the next start may delete them (repair/part-plan.ts). Parts of snapshots are never written to (P2).

import type { Reflink } from '../disk/data-file.ts';
import type { PartRecord } from '../disk/manifest.ts';
import type { PartFiles } from '../disk/part-files.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { NEW_PREFIX, poolPaths } from '../disk/pool-paths.ts';
import { checkReflink, checkSource, cloneAsData, FileCopy, finishCopy, SNAPSHOT_MODE } from './file-copy.ts';
import { systemReflink } from './reflink.ts';

export class PartSnapshots {
  private readonly directory: string;
  private readonly parts: PartFiles;
  private readonly reflink: Reflink;
  private readonly reached: (step: string) => void;

  constructor({ directory, ports, parts }: PoolFiles) {
    this.directory = directory;
    this.parts = parts;
    this.reflink = ports.reflink ?? systemReflink();
    this.reached = (step) => ports.reached?.(step);
  }

  /**
   * Prepares the copy of a part, and makes the new part that will contain it. Clones nothing yet. Throws E_NO_REFLINK, E_VOLUME or a
   * system error.
   */
  async begin(sourceId: string, record: PartRecord): Promise<FileCopy> {
    const source = poolPaths.part(this.directory, sourceId);
    await checkSource(poolPaths.data(source), record.sizeBytes);
    const to = await this.parts.begin(record);
    await checkReflink(this.reflink, poolPaths.partRecord(source), to, this.directory);
    return FileCopy.begin(this.reflink, record.volumeId, record.sizeBytes, poolPaths.data(source), to);
  }

  /** Syncs a cloned copy. The copy does not belong to a snapshot yet. */
  async flush(record: PartRecord): Promise<void> {
    await finishCopy(poolPaths.data(poolPaths.part(this.directory, NEW_PREFIX + record.fileId)), record.sizeBytes, SNAPSHOT_MODE);
    this.reached('part: flushed');
  }

  /**
   * Makes a cloned copy durable as a new part. The description of the snapshot then decides whether the part stays. Returns the bytes that
   * the part occupies.
   */
  async prepare(record: PartRecord): Promise<number> {
    const folder = poolPaths.part(this.directory, NEW_PREFIX + record.fileId);
    const usedBytes = await finishCopy(poolPaths.data(folder), record.sizeBytes, SNAPSHOT_MODE);
    this.reached('part: data');
    await this.parts.end(record);
    return usedBytes;
  }

  /** Creates a new part of a volume as a clone of another part, extended with zeros. Returns the stamp of the new part's file. */
  cloneAsPart({ fileId, sizeBytes: fromBytes }: Pick<PartRecord, 'fileId' | 'sizeBytes'>, record: PartRecord): Promise<string | null> {
    return this.parts.create(record, false, async (to) => {
      const from = poolPaths.data(poolPaths.part(this.directory, fileId));
      const stamp = await cloneAsData(this.reflink, { from, fromBytes }, to, record.sizeBytes, this.directory);
      this.reached('part: data');
      return stamp;
    });
  }
}
