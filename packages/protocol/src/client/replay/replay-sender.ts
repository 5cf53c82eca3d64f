// Sends the pieces of a replay (replay.ts) as requests of an attachment, a few at a time. Each request has its own buffer, so that a path
// never refers to the log's memory. Invariant: an answer counts only for the replay that created the answered request, and only until
// `drop` is called. Rules: R2.

import { counted } from '@rsio/base/lib/assert';
import { SEGMENT_BYTES } from '../../link/limits.ts';
import { REPLAY_REQUESTS_OUT_MAX } from '../limits.ts';
import { STATUS } from '../../wire/status.ts';
import type { Replay } from './replay.ts';
import type { ReplayLog } from './replay-log.ts';
import { Request, type RequestAttachment, type RequestEvents } from '../requests/request.ts';

export class ReplaySender implements RequestEvents {
  /** Status of the first piece that failed; the failure ends the replay. Null if no piece has failed. */
  failure: number | null = null;
  private readonly attachment: RequestAttachment;
  private replay: Replay | null = null;
  private free: Request[] = [];
  private prepared: Request | null = null;
  private out = 0;

  constructor(attachment: RequestAttachment) {
    this.attachment = attachment;
  }

  get hasNext(): boolean {
    if (this.failure !== null) return false;
    return this.prepared !== null || (this.replay?.hasNext === true && this.out < REPLAY_REQUESTS_OUT_MAX);
  }

  /** True if a piece has failed and no request is in flight; if so, nothing can be sent until the replay begins again. */
  get isHalted(): boolean {
    return this.failure !== null && this.out === 0;
  }

  begin(replay: Replay): void {
    this.drop();
    this.replay = replay;
  }

  /** Stops the replay, so that answers to its requests in flight no longer count. */
  drop(): void {
    this.replay = null;
    this.prepared = null;
    this.free = [];
    this.out = 0;
    this.failure = null;
  }

  owns(request: Request): boolean {
    return request.events === this;
  }

  /** Returns the next piece without removing it; `next` removes it. The caller has checked `hasNext`. */
  peek(): Request {
    if (this.prepared === null) {
      this.prepared = this.free.pop() ?? this.newRequest();
      this.replay?.next(this.prepared);
    }
    return this.prepared;
  }

  next(): Request {
    const request = this.peek();
    this.prepared = null;
    this.out++;
    return request;
  }

  /**
   * Called when a piece was answered. `over`: the answered piece was the last piece, and the log now belongs to the new incarnation.
   * `failed`: a piece has failed, and no request is in flight.
   */
  answered(request: Request, status: number, log: ReplayLog): 'more' | 'over' | 'failed' {
    const { replay } = this;
    if (replay === null) return 'more';
    this.out = counted(this.out - 1, 'replayed requests in flight');
    this.free.push(request);
    if (status !== STATUS.OK) this.failure ??= status;
    if (this.failure !== null) {
      this.prepared = null;
      return this.out === 0 ? 'failed' : 'more';
    }
    if (!log.replayed(replay)) return 'more';
    this.drop();
    return 'over';
  }

  requestDone(): void {
    // Do nothing here, because the attachment calls `answered` itself.
  }

  private newRequest(): Request {
    const request = new Request();
    request.buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
    request.events = this;
    request.attachment = this.attachment;
    return request;
  }
}
