// The copy buffers and the budget for change times that all mirrors of a process share. A hanging server keeps shared buffers in use. A
// mirror that gets no shared buffer may therefore use one small private buffer. Invariant: a grant is released once, after the last use of
// its buffer.

import { counted } from '@rsio/base/lib/assert';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
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

  /** Returns null if all shared buffers are in use and `mayHaveOwn` is false. The buffer may be longer than `bytes`. */
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
