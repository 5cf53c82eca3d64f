// The unsynced writes of one volume with their log: what all backends of the volume in this process share, since two handles are one
// content. Leaves the storage to unsynced-backend.ts. Invariant: pieces and log say the same; what goes to the storage goes one at a time,
// so that no flush brings back what a write with FUA has overtaken.

import { UNSYNCED_MAX_BYTES } from './limits.ts';
import { RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { type UnsyncedPiece, UnsyncedWrites } from './unsynced-writes.ts';

/** As UnsyncedLog has it. */
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

  /** Time to sync before more is taken. */
  get isFull(): boolean {
    return this.bytes >= UNSYNCED_MAX_BYTES;
  }

  /** What a flush that is asked for now has to cover. */
  get upTo(): number {
    return this.writes.last;
  }

  until(upTo: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.filter(({ number }) => number <= upTo);
  }

  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.length === 0 ? [] : this.writes.overlapping(positionBytes, lengthBytes);
  }

  /** `data` is copied; null: zeros. The errno name of a failure, after which nothing was written, or null. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): string | null {
    const own = data === null ? null : Buffer.from(data);
    const errno = this.log.append({ kind: own === null ? RECORD.ZERO : RECORD.WRITE, positionBytes, lengthBytes, data: own });
    if (errno !== null) return errno;
    this.writes.add(positionBytes, lengthBytes, own);
    this.bytes += own?.length ?? 0;
    return null;
  }

  /** The storage has something newer there, durably. */
  cut(positionBytes: number, lengthBytes: number): string | null {
    if (this.overlapping(positionBytes, lengthBytes).length === 0) return null;
    const errno = this.log.append({ kind: RECORD.CUT, positionBytes, lengthBytes, data: null });
    if (errno === null) this.writes.cut(positionBytes, lengthBytes);
    return errno;
  }

  /** The storage has all up to this piece, durably. The errno name of a failure, after which it is as if it had not, or null. */
  forget(upTo: number): string | null {
    const errno = this.log.replace(this.writes.pieces.filter(({ number }) => number > upTo));
    if (errno !== null) return errno;
    this.writes.forget(upTo);
    this.bytes = bytesOf(this.writes);
    return null;
  }

  /** Runs `task` when nobody else's runs. */
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

/** What the records of a log leave unsynced. */
export function writesOf(records: readonly UnsyncedRecord[]): UnsyncedWrites {
  const writes = new UnsyncedWrites();
  for (const { kind, positionBytes, lengthBytes, data } of records) {
    if (kind === RECORD.CUT) writes.cut(positionBytes, lengthBytes);
    else if (kind !== RECORD.PLACE) writes.add(positionBytes, lengthBytes, data);
  }
  return writes;
}
