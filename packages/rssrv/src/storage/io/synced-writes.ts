// Ends the writes through one descriptor that was opened with O_DSYNC. The kernel reports a failed write-back once for each descriptor, to
// the first write that checks, although the lost data may belong to another write in progress. Invariant: a write ends with success only if
// no write that was in progress at the same time has failed. A write therefore waits for the writes that are in progress when its own
// system call ends. Rules: O2.

import type { IoEnd } from './positioned-io.ts';

interface SyncedWrite {
  readonly number: number;
  readonly end: IoEnd;
  /** The error of a write that was in progress at the same time as this write; null if there is none. */
  errno: string | null;
  /** The number of the last write that had begun when the system call of this write ended; 0 before that. */
  until: number;
}

export class SyncedWrites {
  private lastNumber = 0;
  /** The oldest first. */
  private readonly underWay = new Set<SyncedWrite>();
  /** Writes whose system calls have succeeded, in the order in which these calls ended, which is also the order of `until`. */
  private waiting: SyncedWrite[] = [];

  /** Must be called when a write begins. Returns the function to call when its system call has ended; `end` is called then or later. */
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

  /** Fails the writes that were in progress at the same time as the failed write. */
  private failBeside({ number }: SyncedWrite, errno: string): void {
    for (const other of this.underWay) other.errno ??= errno;
    const first = this.waiting.findIndex(({ until }) => until >= number);
    if (first < 0) return;
    for (const { end } of this.waiting.splice(first)) end(errno);
  }

  /** Ends the waiting writes that need to wait for no other write any more. */
  private release(): void {
    const [oldest] = this.underWay;
    const count = this.waiting.findIndex(({ until }) => oldest !== undefined && until >= oldest.number);
    for (const { end } of this.waiting.splice(0, count < 0 ? this.waiting.length : count)) end(null);
  }
}
