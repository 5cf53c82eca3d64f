// Keeps one volume's unsynced writes in memory and in their log. All backends of the volume in this process share one store, because every
// handle of the volume must read the same content. Invariants: the pieces in memory agree with the log. Writes to the storage are executed
// one after the other, so that no flush overwrites a newer FUA write with older data.

import { UNSYNCED_MAX_BYTES } from './limits.ts';
import { RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { type UnsyncedPiece, UnsyncedWrites } from './unsynced-writes.ts';

/** The part of UnsyncedLog that the store uses. */
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

  /** True if the unsynced writes must be synced before the next write is accepted. */
  get isFull(): boolean {
    return this.bytes >= UNSYNCED_MAX_BYTES;
  }

  /** Number of the newest piece that a flush must sync if it is requested now. The flush must also sync all earlier pieces. */
  get upTo(): number {
    return this.writes.last;
  }

  until(upTo: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.filter(({ number }) => number <= upTo);
  }

  overlapping(positionBytes: number, lengthBytes: number): readonly UnsyncedPiece[] {
    return this.writes.pieces.length === 0 ? [] : this.writes.overlapping(positionBytes, lengthBytes);
  }

  /** Adds a write. `data` is copied; null means zeros. Returns null on success. On failure, returns the errno name and adds nothing. */
  add(positionBytes: number, lengthBytes: number, data: Buffer | null): string | null {
    const own = data === null ? null : Buffer.from(data);
    const errno = this.log.append({ kind: own === null ? RECORD.ZERO : RECORD.WRITE, positionBytes, lengthBytes, data: own });
    if (errno !== null) return errno;
    this.writes.add(positionBytes, lengthBytes, own);
    this.bytes += own?.length ?? 0;
    return null;
  }

  /** Removes a range from all pieces after newer data for the range has become durable on the storage. */
  cut(positionBytes: number, lengthBytes: number): string | null {
    if (this.overlapping(positionBytes, lengthBytes).length === 0) return null;
    const errno = this.log.append({ kind: RECORD.CUT, positionBytes, lengthBytes, data: null });
    if (errno === null) this.writes.cut(positionBytes, lengthBytes);
    return errno;
  }

  /**
   * Removes all pieces with numbers up to `upTo` after their data has become durable on the storage. Returns null on success. On failure,
   * returns the errno name and removes nothing.
   */
  forget(upTo: number): string | null {
    const errno = this.log.replace(this.writes.pieces.filter(({ number }) => number > upTo));
    if (errno !== null) return errno;
    this.writes.forget(upTo);
    this.bytes = bytesOf(this.writes);
    return null;
  }

  /** Runs `task` once all tasks that were added earlier have ended. */
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

/** Returns the writes that are still unsynced according to the records of a log. */
export function writesOf(records: readonly UnsyncedRecord[]): UnsyncedWrites {
  const writes = new UnsyncedWrites();
  for (const { kind, positionBytes, lengthBytes, data } of records) {
    if (kind === RECORD.CUT) writes.cut(positionBytes, lengthBytes);
    else if (kind !== RECORD.PLACE) writes.add(positionBytes, lengthBytes, data);
  }
  return writes;
}
