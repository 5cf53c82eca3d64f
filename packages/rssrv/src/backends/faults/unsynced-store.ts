// The unsynced writes of one volume with their log, shared by all backends of the volume in this process, because two handles have one content.
// unsynced-backend.ts has the storage. Invariants: pieces and log agree; writes to the storage take turns, so that no flush restores data that a FUA
// write has overtaken.

import { UNSYNCED_MAX_BYTES } from './limits.ts';
import { RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { type UnsyncedPiece, UnsyncedWrites } from './unsynced-writes.ts';

/** The part of UnsyncedLog that is used here. */
export interface RecordLog {
  readonly found: readonly UnsyncedRecord[];
  append(record: UnsyncedRecord): string | null;
  replace(pieces: readonly UnsyncedPiece[]): string | null;
  close(): void;
}

export class UnsyncedStore {
  private readonly log: RecordLog;
  private readonly writes: UnsyncedWrites;
  private bytes: number;
  private readonly waiting: ((end: () => void) => void)[] = [];
  private isBusy = false;

  constructor(log: RecordLog) {
    this.log = log;
    this.writes = writesOf(log.found);
    this.bytes = bytesOf(this.writes);
  }

  /** A sync is due before more is taken. */
  get isFull(): boolean {
    return this.bytes >= UNSYNCED_MAX_BYTES;
  }

  /** The last piece that a flush requested now has to cover. */
  get upTo(): number {
    return this.writes.last;
  }

  until(upTo: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.filter(({ number }) => number <= upTo);
  }

  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.length === 0 ? [] : this.writes.overlapping(positionBytes, lengthBytes);
  }

  /** `data` is copied; null: zeros. Returns the errno name of a failure, after which nothing was added, or null. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): string | null {
    const own = data === null ? null : Buffer.from(data);
    const errno = this.log.append({ kind: own === null ? RECORD.ZERO : RECORD.WRITE, positionBytes, lengthBytes, data: own });
    if (errno !== null) return errno;
    this.writes.add(positionBytes, lengthBytes, own);
    this.bytes += own?.length ?? 0;
    return null;
  }

  /** The storage has newer data in this range, durably. */
  cut(positionBytes: number, lengthBytes: number): string | null {
    if (this.overlapping(positionBytes, lengthBytes).length === 0) return null;
    const errno = this.log.append({ kind: RECORD.CUT, positionBytes, lengthBytes, data: null });
    if (errno === null) this.writes.cut(positionBytes, lengthBytes);
    return errno;
  }

  /** The storage has all pieces up to this one, durably. Returns the errno name of a failure, after which nothing is forgotten, or null. */
  forget(upTo: number): string | null {
    const errno = this.log.replace(this.writes.pieces.filter(({ number }) => number > upTo));
    if (errno !== null) return errno;
    this.writes.forget(upTo);
    this.bytes = bytesOf(this.writes);
    return null;
  }

  /** Runs `task` when no other one is running. */
  takeTurn(task: (end: () => void) => void): void {
    this.waiting.push(task);
    if (!this.isBusy) this.next();
  }

  close(): void {
    this.log.close();
  }

  private next(): void {
    const task = this.waiting.shift();
    this.isBusy = task !== undefined;
    task?.(() => this.next());
  }
}

function bytesOf({ pieces }: UnsyncedWrites): number {
  return pieces.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
}

/** The writes that the records of a log leave unsynced. */
export function writesOf(records: readonly UnsyncedRecord[]): UnsyncedWrites {
  const writes = new UnsyncedWrites();
  for (const { kind, positionBytes, lengthBytes, data } of records) {
    if (kind === RECORD.CUT) writes.cut(positionBytes, lengthBytes);
    else if (kind !== RECORD.PLACE) writes.add(positionBytes, lengthBytes, data);
  }
  return writes;
}
