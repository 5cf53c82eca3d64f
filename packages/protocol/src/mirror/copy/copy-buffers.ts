// The buffers of the copies of all mirrors of a process, and their memory of changes. A server that hangs keeps the buffers of its mirrors, so that a mirror that gets
// none of the shared ones may have one small buffer of its own. Invariant: a grant is released once, after the last use of its buffer.

import { BufferPool } from '@rsio/common/structures/buffer-pool';
import { TimesBudget } from '../lacks/change-times.ts';
import { BUFFERS_KEPT_BYTES, BUFFERS_MAX_BYTES, PIECE_SMALL_BYTES } from './limits.ts';

export interface BufferGrant {
  readonly buffer: Buffer;
  readonly bytes: number;
  readonly isShared: boolean;
}

export class CopyBuffers {
  /** What the mirrors remember of their changes. */
  readonly times = new TimesBudget();
  private readonly pool = new BufferPool(BUFFERS_KEPT_BYTES);
  private sharedBytes = 0;

  /** Null if the shared buffers are all in use and the mirror may have none of its own. The buffer may be longer than `bytes`. */
  take(bytes: number, mayHaveOwn: boolean): BufferGrant | null {
    if (this.sharedBytes + bytes <= BUFFERS_MAX_BYTES) {
      this.sharedBytes += bytes;
      return { buffer: this.pool.take(bytes), bytes, isShared: true };
    }
    return mayHaveOwn ? { buffer: this.pool.take(PIECE_SMALL_BYTES), bytes: PIECE_SMALL_BYTES, isShared: false } : null;
  }

  release({ buffer, bytes, isShared }: BufferGrant): void {
    if (isShared) this.sharedBytes -= bytes;
    this.pool.giveBack(buffer);
  }
}
