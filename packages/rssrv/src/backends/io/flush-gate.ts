// Runs one sync at a time for all waiting flushes (group commit). A flush that arrives during a sync waits for the next sync, because the
// running sync may miss writes that the flush must cover. After a failed sync, all later flushes of this backend fail, too. The kernel
// reports a lost write only once per descriptor, so the next sync would report success although data was lost.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { IoDone } from './backend.ts';
import { type IoEnd, statusOf } from './positioned-io.ts';

export class FlushGate {
  private readonly sync: (end: IoEnd) => void;
  private readonly onError: (errno: string) => void;
  private readonly soon: (call: () => void) => void;
  private isRunning = false;
  private waiting: IoDone[] = [];
  private failure: Status = STATUS.OK;

  /**
   * `sync` must make durable every write that ended before `sync` was called. `soon` calls a function after the current call has returned.
   */
  constructor(
    sync: (end: IoEnd) => void,
    onError: (errno: string) => void,
    soon: (call: () => void) => void = (call) => void setImmediate(call),
  ) {
    this.sync = sync;
    this.onError = onError;
    this.soon = soon;
  }

  /** Requests a sync. `done` is never called before `flush` returns. */
  flush(done: IoDone): void {
    if (this.failure !== STATUS.OK) {
      this.soon(() => done(this.failure));
      return;
    }
    this.waiting.push(done);
    if (!this.isRunning) this.start();
  }

  private start(): void {
    const covered = this.waiting;
    this.waiting = [];
    this.isRunning = true;
    this.sync((errno) => {
      this.isRunning = false;
      if (errno !== null) {
        this.failure = statusOf(errno);
        this.onError(errno);
        // Fail the waiting flushes, too: the failed sync may have lost writes that these flushes must cover.
        covered.push(...this.waiting);
        this.waiting = [];
      }
      const status = this.failure;
      // Start the next sync before answering: an answer may request another flush, and only one sync may run at a time.
      if (this.waiting.length > 0) this.start();
      for (const done of covered) done(status);
    });
  }
}
