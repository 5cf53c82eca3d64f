// Keeps a pool of reusable buffers, because allocating a buffer costs more time than copying data. The size classes are the powers of two
// from 4 KiB to the largest body. Invariant: each buffer has one owner. The owner returns the buffer to the pool exactly once, after the
// last read or write.

import { BODY_MAX_BYTES } from '../lib/limits.ts';

const SMALLEST_SHIFT = 12;
const LARGEST_SHIFT = Math.ceil(Math.log2(BODY_MAX_BYTES));

export class BufferPool {
  private readonly free: Buffer[][] = [];
  private readonly keepBytes: number;
  private keptBytes = 0;

  /** `keepBytes` is the maximum total size of idle buffers; further buffers are left to the garbage collector. */
  constructor(keepBytes: number) {
    this.keepBytes = keepBytes;
    for (let shift = SMALLEST_SHIFT; shift <= LARGEST_SHIFT; shift++) this.free.push([]);
  }

  /**
   * Returns a buffer of the smallest size class that is large enough. If no class is large enough, the buffer has exactly `lengthBytes`.
   */
  take(lengthBytes: number): Buffer {
    const index = classOf(lengthBytes);
    const list = this.free[index];
    if (list === undefined) return Buffer.allocUnsafeSlow(lengthBytes);
    const buffer = list.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(1 << (index + SMALLEST_SHIFT));
    this.keptBytes -= buffer.length;
    return buffer;
  }

  giveBack(buffer: Buffer): void {
    const list = this.free[classOf(buffer.length)];
    if (list === undefined || this.keptBytes + buffer.length > this.keepBytes) return;
    this.keptBytes += buffer.length;
    list.push(buffer);
  }
}

function classOf(lengthBytes: number): number {
  return lengthBytes <= 1 << SMALLEST_SHIFT ? 0 : 32 - Math.clz32(lengthBytes - 1) - SMALLEST_SHIFT;
}
