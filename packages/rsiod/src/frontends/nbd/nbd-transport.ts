// The port between a connection and its socket, and the pooled buffers in which small replies are sent together. Only nbd-frontend.ts uses
// sockets.

import { ObjectPool } from '@rsio/common/structures/object-pool';
import { NBD_BATCHES_POOLED_MAX, NBD_BATCH_BYTES } from './wire/limits.ts';

export interface NbdTransport {
  /** Calls `sent` once, later, when the bytes are no longer needed: they have been written, or (with `failed`) never will be. */
  write(bytes: Buffer, sent: (failed?: Error | null) => void): void;
  /** Writes between `cork` and `uncork` are sent in one system call. */
  cork(): void;
  uncork(): void;
  /** Stops receiving until `resume`. */
  pause(): void;
  resume(): void;
  /** Sends everything that has been written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** A buffer of small replies, with the counts that are returned to the connection when the buffer has been sent. */
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

/** Idle batches, which all connections share. */
export class BatchPool extends ObjectPool<ReplyBatch> {
  constructor() {
    super(
      NBD_BATCHES_POOLED_MAX,
      () => new ReplyBatch(),
      (batch) => batch.clear(),
    );
  }
}
