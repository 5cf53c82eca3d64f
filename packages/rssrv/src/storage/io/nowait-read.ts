// Reads data from the page cache: preadv2(2) with RWF_NOWAIT, which fails with EAGAIN if the read would wait for the storage. Invariants:
// the kernel writes only into the given range of the target. A call allocates nothing, except for the first call with an ArrayBuffer.

import { assert } from '@rsio/base/lib/assert';
import { throughLibc } from '../../machine/libc.ts';

/** Returns the number of bytes that were read, which may be less than `lengthBytes`, or the negative errno of the failed call. */
export type NowaitRead = (fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number) => number;

const RWF_NOWAIT = 0x8;
/** Number of 32-bit words in a struct iovec: address and length have two words each, the lower half first. */
const IOVEC_WORDS = 4;
const WORD = 2 ** 32;

/** Returns null if the C library has no preadv2(2), as old ones of musl. */
export const systemNowaitRead = throughLibc((libc): NowaitRead | null => {
  const { address, errno } = libc;
  const preadv2 = bound(() => libc.preadv2());
  if (preadv2 === null) return null;
  // All calls use one structure, because a call ends before the next call begins.
  const iovec = new Uint32Array(new ArrayBuffer(IOVEC_WORDS * Uint32Array.BYTES_PER_ELEMENT));
  const held: { memory: ArrayBufferLike | null } = { memory: null };
  // The memory of an ArrayBuffer never moves. If the buffer is transferred to another owner, its views have length 0.
  const addresses = new WeakMap<ArrayBufferLike, number>();
  return (fd, target, offset, lengthBytes, positionBytes) => {
    // The condition is negated as a whole, so that it also refuses NaN.
    if (!(offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= target.length)) assert(false, 'A read beyond the end of its buffer');
    const memory = target.buffer;
    let base = addresses.get(memory);
    if (base === undefined) {
      base = address(new Uint8Array(memory));
      assert(Number.isSafeInteger(base) && base > 0, 'A buffer has an impossible address');
      addresses.set(memory, base);
    }
    const start = base + target.byteOffset + offset;
    iovec[0] = start % WORD;
    iovec[1] = start / WORD;
    iovec[2] = lengthBytes;
    // Keeps the buffer alive during the call. The call gets only the buffer's address.
    held.memory = memory;
    const moved = Number(preadv2(fd, iovec, 1, positionBytes, RWF_NOWAIT));
    return moved < 0 ? -errno() : moved;
  };
});

function bound<T>(bind: () => T): T | null {
  try {
    return bind();
  } catch {
    return null;
  }
}
