// The interface through which a connection of a program or of a host uses its socket, and the pooled buffers in which small replies are sent
// together. Only socket.ts, nbd-frontend.ts and the gates use sockets.

import { ObjectPool } from '@rsio/base/structures/object-pool';
import { NBD_BATCHES_POOLED_MAX, NBD_BATCH_BYTES } from '../limits.ts';

export interface StreamTransport {
  /**
   * Writes `lengthBytes` bytes of `bytes` from `start` on. Calls `sent` once, after the call has returned, when the bytes have been written or when they
   * can no longer be written (`failed`). The caller may re-use the bytes only after `sent` has been called.
   */
  write(bytes: Buffer, start: number, lengthBytes: number, sent: (failed?: Error | null) => void): void;
  /** Writes between `cork` and `uncork` are sent in one system call. */
  cork(): void;
  uncork(): void;
  pause(): void;
  resume(): void;
  /** Sends everything that has been written, then closes the connection. */
  end(): void;
  destroy(): void;
  /** True if the client has closed its socket, even while the transport is paused and data of the client is unread. */
  isPeerGone(): boolean;
}

/**
 * A buffer of small replies. The batch also counts its replies and the data bytes of their requests. The connection gets both counts when
 * the batch has been sent.
 */
export class ReplyBatch {
  readonly bytes = Buffer.allocUnsafeSlow(NBD_BATCH_BYTES);
  fill = 0;
  requests = 0;
  dataBytes = 0;

  clear(): void {
    this.fill = 0;
    this.requests = 0;
    this.dataBytes = 0;
  }
}

export class BatchPool extends ObjectPool<ReplyBatch> {
  constructor() {
    super(
      NBD_BATCHES_POOLED_MAX,
      () => new ReplyBatch(),
      (batch) => batch.clear(),
    );
  }
}
