// The copy buffers and the budget for change times that all mirrors of a process share. A hanging server keeps buffers in use. Therefore, a
// mirror without a shared buffer may have one small one of its own. Invariant: a grant is released once, after the last use of its buffer.

import { counted } from '@rsio/common/lib/assert';
import { BufferPool } from '@rsio/common/structures/buffer-pool';
import { TimesBudget } from '../lacks/change-times.ts';
import { BUFFERS_KEPT_BYTES, BUFFERS_MAX_BYTES, PIECE_SMALL_BYTES } from '../limits.ts';

export interface BufferGrant {
  readonly buffer: Buffer;
  readonly bytes: number;
  readonly isShared: boolean;
}

export class CopyBuffers {
  /** Bounds the memory in which the mirrors note when blocks were changed. */
  readonly times = new TimesBudget();
  private readonly pool = new BufferPool(BUFFERS_KEPT_BYTES);
  private sharedBytes = 0;

  /** Returns null if all shared buffers are in use and the mirror may have no buffer of its own. The buffer may be longer than `bytes`. */
  take(bytes: number, mayHaveOwn: boolean): BufferGrant | null {
    if (this.sharedBytes + bytes <= BUFFERS_MAX_BYTES) {
      this.sharedBytes += bytes;
      return { buffer: this.pool.take(bytes), bytes, isShared: true };
    }
    return mayHaveOwn ? { buffer: this.pool.take(PIECE_SMALL_BYTES), bytes: PIECE_SMALL_BYTES, isShared: false } : null;
  }

  release({ buffer, bytes, isShared }: BufferGrant): void {
    if (isShared) this.sharedBytes = counted(this.sharedBytes - bytes, 'shared bytes');
    this.pool.giveBack(buffer);
  }
}
