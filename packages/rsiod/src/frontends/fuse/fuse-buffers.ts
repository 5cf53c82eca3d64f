// Buffers for requests and data of the raw door, shared by all its devices: large ones for what is read from a descriptor and for long data,
// small ones for the rest. In both the data begins where the data of a WRITE does, so that a WRITE is sent from where it was received and the
// header of a READ's reply fits in front. What lies idle is bounded; what is in use is bounded by each session.

import { FUSE_COPY_MAX_BYTES, FUSE_DATA_MAX_BYTES, FUSE_POOLED_BYTES_MAX } from './limits.ts';
import { WRITE_PREFIX_BYTES } from './fuse-constants.ts';

export const DATA_OFFSET = WRITE_PREFIX_BYTES;
/** The kernel refuses to be read with less than the largest WRITE and 8 KiB. */
const LARGE_BYTES = FUSE_DATA_MAX_BYTES + 8192;
const SMALL_BYTES = DATA_OFFSET + FUSE_COPY_MAX_BYTES;

export class FuseBuffers {
  private readonly large: Buffer[] = [];
  private readonly small: Buffer[] = [];
  private idleBytes = 0;
  private taken = 0;

  /** Buffers in use. */
  get inUse(): number {
    return this.taken;
  }

  /** Room for `dataBytes` (at most FUSE_DATA_MAX_BYTES) from DATA_OFFSET on; the content is anything. */
  take(dataBytes: number): Buffer {
    return dataBytes <= FUSE_COPY_MAX_BYTES ? this.pop(this.small, SMALL_BYTES) : this.takeLarge();
  }

  /** Room for any request. */
  takeLarge(): Buffer {
    return this.pop(this.large, LARGE_BYTES);
  }

  /** Gives back what was taken. */
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
