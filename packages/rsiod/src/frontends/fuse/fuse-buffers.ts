// Buffers for requests and data of all raw devices: large ones for reads from the descriptor and for long data, small ones for the rest. In
// both, data begins at the offset of a WRITE's data. A WRITE can therefore be sent from the buffer that received it, and a READ's reply
// header fits before the data. Invariant: this file bounds the idle memory, and each session bounds the memory that it uses.

import { FUSE_COPY_MAX_BYTES, FUSE_DATA_MAX_BYTES, FUSE_POOLED_BYTES_MAX } from './limits.ts';
import { WRITE_PREFIX_BYTES } from './fuse-constants.ts';

export const DATA_OFFSET = WRITE_PREFIX_BYTES;
/** The kernel refuses reads into less than the largest WRITE plus 8 KiB. */
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

  /** Returns a buffer with room for `dataBytes` (at most FUSE_DATA_MAX_BYTES) from DATA_OFFSET on. Its content is undefined. */
  take(dataBytes: number): Buffer {
    return dataBytes <= FUSE_COPY_MAX_BYTES ? this.pop(this.small, SMALL_BYTES) : this.takeLarge();
  }

  /** Returns a buffer with room for any request. */
  takeLarge(): Buffer {
    return this.pop(this.large, LARGE_BYTES);
  }

  /** Gives a buffer back to the pool. */
  giveBack(buffer: Buffer): void {
    this.taken--;
    if (this.idleBytes + buffer.length > FUSE_POOLED_BYTES_MAX) return;
    (buffer.length === LARGE_BYTES ? this.large : this.small).push(buffer);
    this.idleBytes += buffer.length;
  }

  private pop(from: Buffer[], bytes: number): Buffer {
    this.taken++;
    const pooled = from.pop();
    if (pooled === undefined) return Buffer.allocUnsafeSlow(bytes);
    this.idleBytes -= bytes;
    return pooled;
  }
}
