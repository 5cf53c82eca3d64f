// Pools the buffers that all raw devices use for requests and data. Large buffers are for reads from the descriptor and for long data;
// small buffers are for everything else. In every buffer, the data starts at DATA_OFFSET, as in a WRITE request. The data of a WRITE can
// therefore be sent from the receive buffer. The header of a READ reply fits in front of the data. Invariant: idle buffers occupy at most
// FUSE_POOLED_BYTES_MAX; each session bounds its buffers in use.

import { counted } from '@rsio/base/lib/assert';
import { FUSE_COPY_MAX_BYTES, FUSE_DATA_MAX_BYTES, FUSE_POOLED_BYTES_MAX } from '../limits.ts';
import { WRITE_PREFIX_BYTES } from './fuse-constants.ts';

export const DATA_OFFSET = WRITE_PREFIX_BYTES;
/**
 * LARGE_BYTES is the size of a large buffer. A large buffer must hold the largest WRITE, because the kernel refuses a read(2) with a
 * smaller buffer. The additional 8 KiB are more than enough for the header of the request.
 */
const LARGE_BYTES = FUSE_DATA_MAX_BYTES + 8192;
const SMALL_BYTES = DATA_OFFSET + FUSE_COPY_MAX_BYTES;

export class FuseBuffers {
  private readonly large: Buffer[] = [];
  private readonly small: Buffer[] = [];
  private idleBytes = 0;
  private taken = 0;

  /** Number of buffers in use. */
  get inUse(): number {
    return this.taken;
  }

  /**
   * Returns a buffer with room for `dataBytes` bytes after DATA_OFFSET; `dataBytes` is at most FUSE_DATA_MAX_BYTES. The content of the
   * buffer is undefined.
   */
  take(dataBytes: number): Buffer {
    return dataBytes <= FUSE_COPY_MAX_BYTES ? this.pop(this.small, SMALL_BYTES) : this.takeLarge();
  }

  /** Returns a buffer with room for any request. */
  takeLarge(): Buffer {
    return this.pop(this.large, LARGE_BYTES);
  }

  giveBack(buffer: Buffer): void {
    this.taken = counted(this.taken - 1, 'buffers taken');
    if (this.idleBytes + buffer.length > FUSE_POOLED_BYTES_MAX) return;
    (buffer.length === LARGE_BYTES ? this.large : this.small).push(buffer);
    this.idleBytes += buffer.length;
  }

  private pop(from: Buffer[], bytes: number): Buffer {
    this.taken++;
    const pooled = from.pop();
    if (pooled === undefined) return Buffer.allocUnsafeSlow(bytes);
    this.idleBytes = counted(this.idleBytes - bytes, 'idle bytes');
    return pooled;
  }
}
