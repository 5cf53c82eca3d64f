// Ends the writes through one descriptor that was opened with O_DSYNC. The kernel reports a failed write-back once for each descriptor, to
// the first write that looks, although another write under way has lost its data. Invariant: a write ends with success only if no write
// that was under way at the same time has failed. A write therefore waits for those that are under way when it ends. Rules: O2.

import type { IoEnd } from './positioned-io.ts';

interface SyncedWrite {
  readonly number: number;
  readonly end: IoEnd;
  /** The error of a write beside this one. */
  errno: string | null;
  /** Once the system call has ended: the number of the last write that had begun then. */
  until: number;
}

export class SyncedWrites {
  private lastNumber = 0;
  /** The oldest first. */
  private readonly underWay = new Set<SyncedWrite>();
  /** Writes that have succeeded, in the order of their ends, and therefore of `until`. */
  private waiting: SyncedWrite[] = [];

  /** Must be called when a write begins. Returns the function to call when it ends; `end` is called then or later. */
  begin(end: IoEnd): IoEnd {
    const write: SyncedWrite = { number: ++this.lastNumber, end, errno: null, until: 0 };
    this.underWay.add(write);
    return (errno) => this.ended(write, errno);
  }

  private ended(write: SyncedWrite, errno: string | null): void {
    this.underWay.delete(write);
    const result = errno ?? write.errno;
    write.until = this.lastNumber;
    if (result === null && this.underWay.size > 0) this.waiting.push(write);
    else write.end(result);
    if (errno !== null) this.failBeside(write, errno);
    if (this.waiting.length > 0) this.release();
  }

  /** Fails the writes that were under way together with the write that has failed. */
  private failBeside({ number }: SyncedWrite, errno: string): void {
    for (const other of this.underWay) other.errno ??= errno;
    const first = this.waiting.findIndex(({ until }) => until >= number);
    if (first < 0) return;
    for (const { end } of this.waiting.splice(first)) end(errno);
  }

  /** Ends the writes beside which none is under way any more. */
  private release(): void {
    const [oldest] = this.underWay;
    const count = this.waiting.findIndex(({ until }) => oldest !== undefined && until >= oldest.number);
    for (const { end } of this.waiting.splice(0, count < 0 ? this.waiting.length : count)) end(null);
  }
}
