// The port between a connection and its socket, and the pooled buffers in which small replies leave together.
// Only nbd-frontend.ts uses sockets.

import { ObjectPool } from '@rsio/common/structures/object-pool';
import { NBD_BATCHES_POOLED_MAX, NBD_BATCH_BYTES } from './wire/limits.ts';

export interface NbdTransport {
  /** `sent` is called once, later, when the bytes are no longer needed: they were written, or (`failed`) never will be. */
  write(bytes: Buffer, sent: (failed?: Error | null) => void): void;
  /** Writes between `cork` and `uncork` leave in one system call. */
  cork(): void;
  uncork(): void;
  /** Until `resume` nothing is received. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** A buffer of small replies on its way out, with the counts that it returns to the connection when it has left. */
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

/** Idle batches, shared by all connections. */
export class BatchPool extends ObjectPool<ReplyBatch> {
  constructor() {
    super(
      NBD_BATCHES_POOLED_MAX,
      () => new ReplyBatch(),
      (batch) => batch.clear(),
    );
  }
}
