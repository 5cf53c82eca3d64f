// Runs one sync at a time for all waiting flushes (group commit). A flush that arrives during a sync waits for the next sync, because the
// running sync may miss writes that the flush must cover. After a failed sync, all later flushes of this backend fail, because the kernel
// reports a lost write only once per descriptor, and the next sync would report success. Reads may still return lost writes from the
// kernel's cache. A failed sync is therefore answered only after `forget`, when reads return the content on disk (V1 in docs/PROTOCOL.md).
// Rules: O2.

import { assert } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { IoDone } from './backend.ts';
import { type IoEnd, statusOf } from './positioned-io.ts';

export class FlushGate {
  private readonly sync: (end: IoEnd) => void;
  private readonly forget: (end: () => void) => void;
  private readonly onError: (errno: string) => void;
  private readonly soon: (call: () => void) => void;
  private isRunning = false;
  private waiting: IoDone[] = [];
  private failure: Status = STATUS.OK;

  /**
   * `sync` must make durable every write that ended before `sync` was called. `forget` drops cached data that the kernel will never write;
   * use `forgetNothing` if an inner backend does that. `soon` calls a function after the current call has returned.
   */
  constructor(
    sync: (end: IoEnd) => void,
    forget: (end: () => void) => void,
    onError: (errno: string) => void,
    soon: (call: () => void) => void = (call) => void setImmediate(call),
  ) {
    this.sync = sync;
    this.forget = forget;
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
    assert(!this.isRunning, 'Two syncs of one backend run at a time');
    const covered = this.waiting;
    this.waiting = [];
    this.isRunning = true;
    this.sync((errno) => {
      if (errno !== null) {
        this.failed(errno, covered);
        return;
      }
      this.isRunning = false;
      // Start the next sync before answering: an answer may request another flush, and only one sync may run at a time.
      if (this.waiting.length > 0) this.start();
      for (const done of covered) done(STATUS.OK);
    });
  }

  private failed(errno: string, covered: readonly IoDone[]): void {
    this.onError(errno);
    this.forget(() => {
      this.isRunning = false;
      this.failure = statusOf(errno);
      // Also fail the waiting flushes: the failed sync may have lost writes that these flushes must cover.
      const all = [...covered, ...this.waiting];
      this.waiting = [];
      for (const done of all) done(this.failure);
    });
  }
}

export function forgetNothing(end: () => void): void {
  end();
}
