// Pools buffers for the data of requests, separately for each size class. All connections share the pool. Each buffer has room for a reply
// header in front of the data. The reply to a READ is therefore sent from the memory into which the data was read. Idle memory is bounded
// and returned to the system after a while; memory-budget.ts bounds the memory in use.

import { NBD_POOLED_BYTES_MAX, NBD_POOLED_LOOK_MS, NBD_REQUEST_MAX_BYTES } from '../limits.ts';
import { counted } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';

/**
 * Offset of the data in the memory of a buffer. The longest reply prefix fits in front of the data, and the data is aligned to a cache
 * line.
 */
export const DATA_OFFSET = 64;
/** Number of bytes after the data, for the digest and the completion in a gate's reply. */
export const DATA_TAIL_BYTES = 64;
const SMALLEST_BITS = 12;
const LARGEST_BITS = classBits(NBD_REQUEST_MAX_BYTES);

export class DataBuffer {
  /** The whole memory of the buffer: first room for a header, then the data. */
  readonly memory: Buffer;
  /** A view of the part of `memory` that holds data. The view is created once, not for each request. */
  readonly data: Buffer;

  constructor(dataBytes: number) {
    this.memory = Buffer.allocUnsafeSlow(DATA_OFFSET + dataBytes + DATA_TAIL_BYTES);
    this.data = this.memory.subarray(DATA_OFFSET, DATA_OFFSET + dataBytes);
  }
}

export class DataBuffers {
  private readonly idle: DataBuffer[][] = [];
  private idleBytes = 0;
  private taken = 0;
  private readonly clock: Clock | null;
  private looking: Timer | null = null;
  /**
   * The smallest amount of idle memory since the last check. Requests have not needed this much of the idle memory, so `shrink` frees it.
   */
  private unneededBytes = 0;

  /** If `clock` is null, idle memory is never returned to the system. */
  constructor(clock: Clock | null = null) {
    this.clock = clock;
    for (let bits = 0; bits <= LARGEST_BITS; bits++) this.idle.push([]);
  }

  get inUse(): number {
    return this.taken;
  }

  get pooledBytes(): number {
    return this.idleBytes;
  }

  /** Returns the number of bytes that a buffer for `lengthBytes` bytes of data occupies. */
  static memoryBytes(lengthBytes: number): number {
    return DATA_OFFSET + (1 << classBits(lengthBytes)) + DATA_TAIL_BYTES;
  }

  /**
   * Returns a buffer for `lengthBytes` bytes of data or more; `lengthBytes` is at most NBD_REQUEST_MAX_BYTES. The content of the buffer is
   * undefined.
   */
  take(lengthBytes: number): DataBuffer {
    const bits = classBits(lengthBytes);
    const pooled = this.idle[bits]?.pop();
    this.taken++;
    if (pooled === undefined) return new DataBuffer(2 ** bits);
    this.idleBytes = counted(this.idleBytes - pooled.memory.length, 'idle bytes');
    this.unneededBytes = Math.min(this.unneededBytes, this.idleBytes);
    return pooled;
  }

  giveBack(buffer: DataBuffer): void {
    this.taken = counted(this.taken - 1, 'buffers taken');
    if (this.idleBytes + buffer.memory.length > NBD_POOLED_BYTES_MAX) {
      freeMemory(buffer);
      return;
    }
    this.idle[classBits(buffer.data.length)]?.push(buffer);
    this.idleBytes += buffer.memory.length;
    if (this.looking === null) this.lookLater();
  }

  close(): void {
    this.looking?.cancel();
    this.looking = null;
    this.shrink(this.idleBytes);
  }

  private lookLater(): void {
    if (this.clock === null) return;
    this.unneededBytes = this.idleBytes;
    this.looking = this.clock.after(NBD_POOLED_LOOK_MS, () => {
      this.looking = null;
      this.shrink(this.unneededBytes);
      if (this.idleBytes > 0) this.lookLater();
    });
  }

  /** Frees idle memory, the largest buffers first. */
  private shrink(bytes: number): void {
    let left = bytes;
    for (let bits = LARGEST_BITS; bits >= SMALLEST_BITS; bits--) {
      const ofClass = this.idle[bits] ?? [];
      for (let buffer = ofClass.at(-1); buffer !== undefined && buffer.memory.length <= left; buffer = ofClass.at(-1)) {
        ofClass.pop();
        left -= buffer.memory.length;
        this.idleBytes = counted(this.idleBytes - buffer.memory.length, 'idle bytes');
        freeMemory(buffer);
      }
    }
  }
}

function classBits(lengthBytes: number): number {
  return Math.max(SMALLEST_BITS, 32 - Math.clz32(lengthBytes - 1));
}

/** A closed port, because Node frees memory that is transferred to a closed port. */
const NOWHERE = new MessageChannel().port1;
NOWHERE.close();

/**
 * Returns the memory of a buffer to the system at once. An unreferenced buffer would keep its memory until the next garbage collection,
 * which an idle process may not run for hours.
 */
function freeMemory({ memory }: DataBuffer): void {
  const { buffer } = memory;
  if (buffer instanceof ArrayBuffer) NOWHERE.postMessage(null, [buffer]);
}
