// The files of a follower's next moment while its content arrives: `incoming`, and `incoming.json`, which says what `incoming` has.
// Invariants: `incoming` has the whole content of the base that incoming.json names, unless it is compared, and up to its position the
// whole content of the snapshot that it names. Without a readable incoming.json, `incoming` counts as absent. A pull that compares never
// reads a file to which an earlier pull has written. No client ever sees these files. Rules: T2, T3, T11.

import { readFile, rename, rm, stat } from 'node:fs/promises';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { flag, integer, object, type Of, optional, orNull } from '@rsio/base/lib/shape';
import { createData, type Reflink } from '../disk/data-file.ts';
import type { Manifest } from '../disk/manifest.ts';
import { parseContent, printContent, stamp, uuid } from '../disk/description-shapes.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { checkSource, cloneAsData, type CloneSource } from '../snapshots/file-copy.ts';
import { systemReflink } from '../snapshots/reflink.ts';
import { parseSnapshot, snapshotPaths } from '../snapshots/snapshot-record.ts';
import { stampOf } from './move-files.ts';

const INCOMING = object({
  /** Id of the snapshot of the source whose content arrives. */
  snapshot: uuid,
  /** Id of the snapshot of the source with whose content the file began; null if it began with zeros, or is compared. */
  base: orNull(uuid),
  /** True if the file may have any content after its position, so that what is there is compared with the snapshot. */
  isCompared: optional(flag()),
  sizeBytes: integer(),
  /** Before this offset, the file has the content of the snapshot durably. */
  positionBytes: integer(),
  stamp: orNull(stamp),
});
export type Incoming = Of<typeof INCOMING>;

/** An rssrv that knows only format 1 would take what it does not compare for zeros. It begins again. */
const COMPARED_FORMAT = 2;

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
      state = parseContent(file, await readFile(file, 'utf8'), INCOMING, COMPARED_FORMAT).fields;
    } catch (thrown) {
      if (errnoName(thrown) === 'ENOENT' || thrown instanceof RsError) return null;
      throw thrown;
    }
    if (state.stamp === null) return null;
    const incoming = poolPaths.incoming(this.folder);
    if ((await stampOf(incoming)) === state.stamp) return state;
    // A crash in `again` may have left the named file beside `incoming`.
    if ((await stampOf(poolPaths.newIncoming(this.folder))) !== state.stamp) return null;
    await this.replace();
    return state;
  }

  /**
   * Makes `incoming` as a clone of the follower's snapshot `baseName`, or of zeros if it is null. Throws E_NO_REFLINK, or a system error.
   */
  async begin(baseName: string | null, state: Omit<Incoming, 'positionBytes' | 'stamp'>): Promise<Incoming> {
    if (baseName === null) return this.beginFrom(null, state);
    const file = snapshotPaths.record(this.folder, baseName);
    const { sizeBytes: fromBytes } = parseSnapshot(file, await readFile(file, 'utf8'));
    return this.beginFrom({ from: snapshotPaths.data(this.folder, baseName), fromBytes }, state);
  }

  /** Makes `incoming` as a clone of the data of another volume of the pool, which is compared with the first moment of the source. */
  async seed({ id: volumeId, sizeBytes: fromBytes }: Pick<Manifest, 'id' | 'sizeBytes'>, sizeBytes: number): Promise<Incoming> {
    const from = poolPaths.data(poolPaths.volume(this.files.directory, volumeId));
    // What has arrived is not discarded for a volume that is gone.
    await checkSource(from, fromBytes);
    // No snapshot has the id of the volume, so that the first moment has another one, and goes on with `again`.
    return this.beginFrom({ from, fromBytes }, { snapshot: volumeId, base: null, sizeBytes, isCompared: true });
  }

  /**
   * Keeps the content of `incoming`, whatever it is, to be compared with a snapshot from `positionBytes` on. `incoming` becomes a clone of
   * itself: after a failed write-back, the old file would be read from memory as it should be on the disk, and would count as equal.
   */
  async again(known: Incoming, state: Pick<Incoming, 'snapshot' | 'sizeBytes' | 'positionBytes'>): Promise<Incoming> {
    const clone = poolPaths.newIncoming(this.folder);
    await rm(clone, { force: true });
    const source = { from: poolPaths.incoming(this.folder), fromBytes: known.sizeBytes };
    const fileStamp = await cloneAsData(this.reflink, source, clone, state.sizeBytes, this.files.directory);
    await syncDirectory(this.folder);
    this.reached('incoming: cloned');
    const whole = { ...known, ...state, base: null, isCompared: true, stamp: fileStamp };
    await this.note(whole);
    await this.replace();
    return whole;
  }

  private async replace(): Promise<void> {
    await rename(poolPaths.newIncoming(this.folder), poolPaths.incoming(this.folder));
    await syncDirectory(this.folder);
    this.reached('incoming: replaced');
  }

  private async beginFrom(data: CloneSource | null, state: Omit<Incoming, 'positionBytes' | 'stamp'>): Promise<Incoming> {
    await this.discard();
    const file = poolPaths.incoming(this.folder);
    const { sizeBytes } = state;
    const fileStamp =
      data === null
        ? await createData(this.files.ports, 'incoming', file, sizeBytes, false)
        : await cloneAsData(this.reflink, data, file, sizeBytes, this.files.directory);
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
    await replaceFile(poolPaths.incomingState(this.folder), printContent(state, state.isCompared === true ? COMPARED_FORMAT : 1));
    this.reached('incoming: noted');
  }

  /** Deletes the files. None need exist. */
  async discard(): Promise<void> {
    await rm(poolPaths.incomingState(this.folder), { force: true });
    this.reached('incoming: forgotten');
    await rm(poolPaths.incoming(this.folder), { force: true });
    await rm(poolPaths.newIncoming(this.folder), { force: true });
    await syncDirectory(this.folder);
  }

  private reached(step: string): void {
    this.files.ports.reached?.(step);
  }
}
