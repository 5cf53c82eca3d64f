// The files of a follower's next moment while its content arrives: `incoming`, and `incoming.json`, which says what `incoming` has.
// Invariants: `incoming` has the whole content of the base that incoming.json names, and up to its position the whole content of the
// snapshot that it names. Without a readable incoming.json, `incoming` counts as absent. No client ever sees either file. Rules: T2,
// T3.

import { readFile, rm, stat } from 'node:fs/promises';
import { replaceFile, syncDirectory } from '@rsio/common/files/durable-write';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { integer, object, type Of, orNull } from '@rsio/common/lib/shape';
import { createData, type Reflink } from '../disk/data-file.ts';
import { parseContent, printContent, stamp, uuid } from '../disk/description-shapes.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { cloneAsData } from '../snapshots/file-copy.ts';
import { systemReflink } from '../snapshots/reflink.ts';
import { snapshotPaths } from '../snapshots/snapshot-record.ts';
import { stampOf } from './move-files.ts';

const INCOMING = object({
  /** Id of the snapshot of the source whose content arrives. */
  snapshot: uuid,
  /** Id of the snapshot of the source with whose content the file began; null if it began with zeros. */
  base: orNull(uuid),
  sizeBytes: integer(),
  /** Before this offset, the file has the content of the snapshot durably. */
  positionBytes: integer(),
  stamp: orNull(stamp),
});
export type Incoming = Of<typeof INCOMING>;

export class IncomingFiles {
  private readonly files: PoolFiles;
  private readonly folder: string;
  private readonly reflink: Reflink;

  constructor(files: PoolFiles, volumeId: string) {
    this.files = files;
    this.folder = poolPaths.volume(files.directory, volumeId);
    this.reflink = files.ports.reflink ?? systemReflink();
  }

  /** Returns what has arrived; null if nothing has. */
  async read(): Promise<Incoming | null> {
    const file = poolPaths.incomingState(this.folder);
    let state: Incoming;
    try {
      state = parseContent(file, await readFile(file, 'utf8'), INCOMING).fields;
    } catch (thrown) {
      if (errnoName(thrown) === 'ENOENT' || thrown instanceof RsError) return null;
      throw thrown;
    }
    const now = await stampOf(poolPaths.incoming(this.folder));
    return now !== null && now === state.stamp ? state : null;
  }

  /**
   * Makes `incoming` as a clone of the follower's snapshot `baseName`, or of zeros if it is null. Throws E_NO_REFLINK, or a system error.
   */
  async begin(baseName: string | null, state: Omit<Incoming, 'positionBytes' | 'stamp'>): Promise<Incoming> {
    await this.discard();
    const file = poolPaths.incoming(this.folder);
    const { sizeBytes } = state;
    const fileStamp =
      baseName === null
        ? await createData(this.files.ports, 'incoming', file, sizeBytes, false)
        : await cloneAsData(this.reflink, snapshotPaths.data(this.folder, baseName), file, sizeBytes, this.files.directory);
    await syncDirectory(this.folder);
    this.reached('incoming: begun');
    const whole = { ...state, positionBytes: 0, stamp: fileStamp };
    await this.note(whole);
    return whole;
  }

  /** Records durably how much has arrived. */
  async note(state: Incoming): Promise<void> {
    // `replaceFile` would make a folder that has vanished again.
    await stat(this.folder);
    await replaceFile(poolPaths.incomingState(this.folder), printContent(state));
    this.reached('incoming: noted');
  }

  /** Deletes both files. Neither need exist. */
  async discard(): Promise<void> {
    await rm(poolPaths.incomingState(this.folder), { force: true });
    this.reached('incoming: forgotten');
    await rm(poolPaths.incoming(this.folder), { force: true });
    await syncDirectory(this.folder);
  }

  private reached(step: string): void {
    this.files.ports.reached?.(step);
  }
}
