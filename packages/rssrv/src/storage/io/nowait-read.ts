// Reads of data that is in the page cache: preadv2(2) with RWF_NOWAIT, which fails with EAGAIN where another read would wait for the storage.
// Invariants: the kernel writes only into the given range of the target; a call allocates nothing once the memory of its target is known.

import { assert } from '@rsio/common/lib/assert';
import { throughLibc } from '../../machine/libc.ts';

/** Returns the number of bytes that were read, which may be less than `lengthBytes`, or the negative errno of the failed call. */
export type NowaitRead = (fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number) => number;

const RWF_NOWAIT = 0x8;
/** The words of a struct iovec: address and length, each with its lower half first. */
const IOVEC_WORDS = 4;
const WORD = 2 ** 32;

export const systemNowaitRead = throughLibc((libc): NowaitRead => {
  const { address, errno } = libc;
  const preadv2 = libc.preadv2();
  // One structure for all calls, because a call ends before the next one begins.
  const iovec = new Uint32Array(new ArrayBuffer(IOVEC_WORDS * Uint32Array.BYTES_PER_ELEMENT));
  const held: { memory: ArrayBufferLike | null } = { memory: null };
  // The memory of an ArrayBuffer never moves. If it is given to another owner, the views of it have no bytes any more.
  const addresses = new WeakMap<ArrayBufferLike, number>();
  return (fd, target, offset, lengthBytes, positionBytes) => {
    // In this form, NaN is refused, too.
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
    // An optimised caller that uses the buffer no more would not keep it during the call: only its address is given.
    held.memory = memory;
    const moved = Number(preadv2(fd, iovec, 1, positionBytes, RWF_NOWAIT));
    return moved < 0 ? -errno() : moved;
  };
});
