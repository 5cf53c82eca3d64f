// The output of one connection. Small replies are gathered in a batch, and large replies are sent from their own buffers. As a rule, all
// replies of an event-loop turn are sent in one system call. Invariant: `left` counts each request exactly once, when the reply has been
// sent or can no longer be sent.

// Replies are sent at the end of an event-loop turn, because completions arrive in bursts. One event-loop turn may have an event for each
// of several paths, and each event brings several completions. A microtask would run between two events of the same turn. The function
// setImmediate runs once after all events of the turn, and adds no latency at queue depth 1. While NBD_BATCHES_SENDING_MAX batches are
// being sent, further replies stay in the open batch. A client that reads slowly therefore gets fuller batches. A client that reads nothing
// holds no more memory than its requests allow.

import { counted } from '@rsio/base/lib/assert';
import { NBD_BATCHES_SENDING_MAX, NBD_BATCH_BYTES } from '../limits.ts';
import type { BatchPool, StreamTransport, ReplyBatch } from './transport.ts';

export interface LargeReply {
  /** The header and the data of the reply. */
  readonly reply: Buffer;
  readonly sent: (failed?: Error | null) => void;
}

export interface ReplyOutputEvents {
  /**
   * Called when replies have been sent, or when they can no longer be sent (`failed`). The replies answer `requests` requests with
   * `dataBytes` bytes of data in total.
   */
  left(requests: number, dataBytes: number, failed: boolean): void;
  /** Called when an event handler of this class has thrown an exception. */
  failed(thrown: unknown): void;
}

export class ReplyOutput {
  private readonly transport: StreamTransport;
  private readonly batches: BatchPool;
  private readonly events: ReplyOutputEvents;
  private readonly schedule: (fire: () => void) => void;
  private readonly fire = (): void => {
    this.isScheduled = false;
    try {
      this.flush();
    } catch (thrown) {
      this.events.failed(thrown);
    }
  };
  private open: ReplyBatch | null = null;
  private readonly large: LargeReply[] = [];
  private sending = 0;
  private isScheduled = false;
  private isClosed = false;

  constructor(transport: StreamTransport, batches: BatchPool, owner: ReplyOutputEvents, schedule: (fire: () => void) => void) {
    this.transport = transport;
    this.batches = batches;
    this.events = owner;
    this.schedule = schedule;
  }

  /** Returns a batch that has room for a reply of `replyBytes` bytes at position `fill`. `commit` completes the reply. */
  room(replyBytes: number): ReplyBatch {
    if (this.open !== null && this.open.fill + replyBytes > NBD_BATCH_BYTES) this.sendBatch();
    this.open ??= this.batches.take();
    return this.open;
  }

  /** Completes a reply: the open batch now ends at `fill` and answers one more request, with `dataBytes` bytes of data. */
  commit(fill: number, dataBytes: number): void {
    const batch = this.open;
    if (batch === null) return;
    batch.fill = fill;
    batch.requests++;
    batch.dataBytes += dataBytes;
    this.wake();
  }

  /** Sends a reply from its own buffer, together with the other replies of this turn. */
  sendLarge(reply: LargeReply): void {
    this.large.push(reply);
    this.wake();
  }

  /**
   * Called when the connection is gone. Drops the replies that were not passed to the transport, and reports that these replies cannot be
   * sent.
   */
  close(): void {
    this.isClosed = true;
    const batch = this.open;
    this.open = null;
    if (batch !== null) this.giveBack(batch, true);
    for (const reply of this.large.splice(0)) reply.sent(new Error('Connection closed'));
  }

  private wake(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    this.schedule(this.fire);
  }

  private flush(): void {
    if (this.isClosed) return;
    const withBatch = this.open !== null && this.open.fill > 0 && this.sending < NBD_BATCHES_SENDING_MAX;
    if (this.large.length === 0) {
      if (withBatch) this.sendBatch();
      return;
    }
    const isCorked = withBatch || this.large.length > 1;
    if (isCorked) this.transport.cork();
    if (withBatch) this.sendBatch();
    for (const { reply, sent } of this.large) this.transport.write(reply, 0, reply.length, sent);
    this.large.length = 0;
    if (isCorked) this.transport.uncork();
  }

  private sendBatch(): void {
    const batch = this.open;
    if (batch === null) return;
    this.open = null;
    this.sending++;
    // The closure is created once for each batch, not for each reply.
    this.transport.write(batch.bytes, 0, batch.fill, (failed) => {
      this.sending = counted(this.sending - 1, 'replies that are being sent');
      try {
        this.giveBack(batch, failed !== undefined && failed !== null);
        if (this.open !== null) this.wake();
      } catch (thrown) {
        this.events.failed(thrown);
      }
    });
  }

  private giveBack(batch: ReplyBatch, failed: boolean): void {
    const { requests, dataBytes } = batch;
    this.batches.giveBack(batch);
    this.events.left(requests, dataBytes, failed);
  }
}
