// Buffers for the data of requests, kept by size class, so that the data path allocates nothing once it is warm. Shared by all connections.
// In front of the data there is room for the header of a reply: a READ's answer leaves from the memory it was read into.
// What lies idle is bounded; what is in use is bounded by each connection.

import { NBD_POOLED_BYTES_MAX, NBD_REQUEST_MAX_BYTES } from '@rsio/protocol/limits';
import { assert } from '@rsio/protocol/lib/assert';
import { DATA_CHUNK_PREFIX_BYTES } from './nbd-constants.ts';

/** Where the data begins in the memory: at least the longest prefix, rounded so that the data is aligned to a cache line. */
export const DATA_OFFSET = 64;
const SMALLEST_BITS = 12;
const LARGEST_BITS = classBits(NBD_REQUEST_MAX_BYTES);

assert(DATA_OFFSET >= DATA_CHUNK_PREFIX_BYTES, 'A reply header must fit in front of the data');

export class DataBuffer {
  /** Room for a header, and the data. */
  readonly memory: Buffer;
  /** The data alone, by a view made once: most requests fill their class, and what is copied whole needs no view for the copy. */
  readonly data: Buffer;

  constructor(dataBytes: number) {
    this.memory = Buffer.allocUnsafeSlow(DATA_OFFSET + dataBytes);
    this.data = this.memory.subarray(DATA_OFFSET);
  }
}

export class DataBuffers {
  private readonly idle: DataBuffer[][] = [];
  private idleBytes = 0;
  private taken = 0;

  constructor() {
    for (let bits = 0; bits <= LARGEST_BITS; bits++) this.idle.push([]);
  }

  /** Buffers in use. */
  get inUse(): number {
    return this.taken;
  }

  /** One for at least `lengthBytes` (at most NBD_REQUEST_MAX_BYTES) of data; its content is anything. */
  take(lengthBytes: number): DataBuffer {
    const bits = classBits(lengthBytes);
    const pooled = this.idle[bits]?.pop();
    this.taken++;
    if (pooled === undefined) return new DataBuffer(2 ** bits);
    this.idleBytes -= pooled.memory.length;
    return pooled;
  }

  /** Gives back what `take` gave. */
  put(buffer: DataBuffer): void {
    this.taken--;
    if (this.idleBytes + buffer.memory.length > NBD_POOLED_BYTES_MAX) return;
    this.idle[classBits(buffer.data.length)]?.push(buffer);
    this.idleBytes += buffer.memory.length;
  }
}

function classBits(lengthBytes: number): number {
  return Math.max(SMALLEST_BITS, 32 - Math.clz32(lengthBytes - 1));
}
