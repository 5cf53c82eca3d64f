// Buffers for the data of requests, kept by size class, so that the data path allocates nothing once it is warm. Shared by all connections.
// In front of the data there is room for the header of a reply: a READ's answer leaves from the memory it was read into.
// What lies idle is bounded, and given back to the system when it was not needed for a time; what is in use is bounded by memory-budget.ts.

import { NBD_POOLED_BYTES_MAX, NBD_POOLED_LOOK_MS, NBD_REQUEST_MAX_BYTES } from './wire/limits.ts';
import { assert } from '@rsio/common/lib/assert';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { DATA_CHUNK_PREFIX_BYTES } from './wire/nbd-constants.ts';

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
  private readonly clock: Clock | null;
  private looking: Timer | null = null;
  /** The least that lay idle since the last look: nobody has needed that. */
  private unneededBytes = 0;

  /** `clock`: null: nothing that lies idle is ever given back. */
  constructor(clock: Clock | null = null) {
    this.clock = clock;
    for (let bits = 0; bits <= LARGEST_BITS; bits++) this.idle.push([]);
  }

  /** Buffers in use. */
  get inUse(): number {
    return this.taken;
  }

  /** Memory that lies idle. */
  get pooledBytes(): number {
    return this.idleBytes;
  }

  /** Memory that a buffer for so much data takes. */
  static memoryBytes(lengthBytes: number): number {
    return DATA_OFFSET + 2 ** classBits(lengthBytes);
  }

  /** One for at least `lengthBytes` (at most NBD_REQUEST_MAX_BYTES) of data; its content is anything. */
  take(lengthBytes: number): DataBuffer {
    const bits = classBits(lengthBytes);
    const pooled = this.idle[bits]?.pop();
    this.taken++;
    if (pooled === undefined) return new DataBuffer(2 ** bits);
    this.idleBytes -= pooled.memory.length;
    this.unneededBytes = Math.min(this.unneededBytes, this.idleBytes);
    return pooled;
  }

  /** Gives back what `take` gave. */
  giveBack(buffer: DataBuffer): void {
    this.taken--;
    if (this.idleBytes + buffer.memory.length > NBD_POOLED_BYTES_MAX) {
      freeMemory(buffer);
      return;
    }
    this.idle[classBits(buffer.data.length)]?.push(buffer);
    this.idleBytes += buffer.memory.length;
    if (this.looking === null) this.lookLater();
  }

  /** Gives back all that lies idle. */
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

  /** The largest first. */
  private shrink(bytes: number): void {
    let left = bytes;
    for (let bits = LARGEST_BITS; bits >= SMALLEST_BITS; bits--) {
      const ofClass = this.idle[bits] ?? [];
      for (let buffer = ofClass.at(-1); buffer !== undefined && buffer.memory.length <= left; buffer = ofClass.at(-1)) {
        ofClass.pop();
        left -= buffer.memory.length;
        this.idleBytes -= buffer.memory.length;
        freeMemory(buffer);
      }
    }
  }
}

function classBits(lengthBytes: number): number {
  return Math.max(SMALLEST_BITS, 32 - Math.clz32(lengthBytes - 1));
}

/**
 * Lets the system have the memory soon. What is only forgotten stays until old objects are collected, which an idle process does not do for hours;
 * moved to an object that is new, and forgotten, it goes with the next young ones.
 */
function freeMemory({ memory }: DataBuffer): void {
  const { buffer } = memory;
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
}
