// Sends what a replay gives (replay.ts) as requests of an attachment, a few at a time, each from a buffer of its own: the log's memory is
// never handed to a path. Leaves when to begin, and what comes after, to the attachment. Invariant: an answer counts for the replay by which
// its request was made, and for no other; after `drop` it counts for nothing.

import { SEGMENT_BYTES } from '../../link/limits.ts';
import { REPLAY_REQUESTS_OUT_MAX } from './limits.ts';
import { STATUS } from '../../wire/status.ts';
import type { Replay } from './replay.ts';
import type { ReplayLog } from './replay-log.ts';
import { Request, type RequestAttachment, type RequestEvents } from '../requests/request.ts';

export class ReplaySender implements RequestEvents {
  /** Status that a piece was answered with, which ends the replay; null: none. */
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

  /** A piece failed, and nothing is out any more: until it is tried anew nothing can be sent. */
  get isHalted(): boolean {
    return this.failure !== null && this.out === 0;
  }

  begin(replay: Replay): void {
    this.drop();
    this.replay = replay;
  }

  /** Nothing more of it is sent, and what is out counts for nothing. */
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

  /** The next piece; it stays until `next`. The caller has asked `hasNext`. */
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

  /** A piece was answered. `over`: it was the last one, and the log is of the new life; `failed`: nothing is out, and one had failed. */
  answered(request: Request, status: number, log: ReplayLog): 'more' | 'over' | 'failed' {
    const { replay } = this;
    if (replay === null) return 'more';
    this.out--;
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
    // The attachment has heard it.
  }

  private newRequest(): Request {
    const request = new Request();
    request.buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
    request.events = this;
    request.attachment = this.attachment;
    return request;
  }
}
