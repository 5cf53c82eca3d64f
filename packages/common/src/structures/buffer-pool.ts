// Buffers by size class (powers of two from 4 KiB to the largest body), because allocating costs more than copying.
// Invariant: a buffer has one owner, which gives it back once, after the last read or write of it.

import { BODY_MAX_BYTES } from '../lib/limits.ts';

const SMALLEST_SHIFT = 12;
const LARGEST_SHIFT = Math.ceil(Math.log2(BODY_MAX_BYTES));

export class BufferPool {
  private readonly free: Buffer[][] = [];
  private readonly keepBytes: number;
  private keptBytes = 0;

  /** `keepBytes`: idle memory that is kept for reuse; the rest is garbage. */
  constructor(keepBytes: number) {
    this.keepBytes = keepBytes;
    for (let shift = SMALLEST_SHIFT; shift <= LARGEST_SHIFT; shift++) this.free.push([]);
  }

  /** A buffer of at least `lengthBytes`: its length is that of its size class, or exactly `lengthBytes` beyond the largest class. */
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
