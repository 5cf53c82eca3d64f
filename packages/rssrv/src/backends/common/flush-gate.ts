// Runs one sync at a time and answers together those who asked before it began: a flush covers everything written before it
// was asked for, so one that comes while a sync runs waits for the next one and is never answered by the running one.
// A failed sync is remembered: the kernel reports a lost write once per descriptor and would say OK to the next sync, so no
// later flush of this backend is answered OK.

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

  /** `sync` makes durable what was written before it was called; `soon` calls when the present call has returned. */
  constructor(
    sync: (end: IoEnd) => void,
    onError: (errno: string) => void,
    soon: (call: () => void) => void = (call) => void setImmediate(call),
  ) {
    this.sync = sync;
    this.onError = onError;
    this.soon = soon;
  }

  /** `done` is never called before this returns. */
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
        // What these wait for may be among what was lost.
        covered.push(...this.waiting);
        this.waiting = [];
      }
      const status = this.failure;
      // The next sync first: an answer may ask for a flush again, and must not start a second one beside it.
      if (this.waiting.length > 0) this.start();
      for (const done of covered) done(status);
    });
  }
}
