// Reads of data that is in the page cache: preadv2(2) with RWF_NOWAIT, which fails with EAGAIN where another read would wait for the storage.
// Node does not have this call; it goes through koffi, an optional package. Invariants: the kernel writes only into the given range of the
// target; a call allocates nothing once the memory of its target is known.

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { assert } from '@rsio/common/lib/assert';

/** Returns the number of bytes that were read, which may be less than `lengthBytes`, or the negative errno of the failed call. */
export type NowaitRead = (fd: number, target: Buffer, offset: number, lengthBytes: number, positionBytes: number) => number;

const RWF_NOWAIT = 0x8;
const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];
/** The words of a struct iovec: address and length, each with its lower half first. */
const IOVEC_WORDS = 4;
const WORD = 2 ** 32;

let loaded: NowaitRead | null | undefined;

/**
 * Returns null if koffi is not installed, or this machine or its C library does not have the call. A process that gives up its rights must
 * call this before, because koffi is loaded from its files.
 */
export function systemNowaitRead(): NowaitRead | null {
  if (loaded === undefined) {
    try {
      loaded = process.platform === 'linux' && ARCHITECTURES.includes(process.arch) ? bind() : null;
    } catch {
      loaded = null;
    }
  }
  return loaded;
}

function bind(): NowaitRead {
  // An optional package cannot be imported statically, and no bundle can contain its binaries.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const preadv2 = koffi.load(null).func('preadv2', 'int64_t', ['int', 'void *', 'int', 'int64_t', 'int']);
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
      base = Number(koffi.address(new Uint8Array(memory)));
      assert(Number.isSafeInteger(base) && base > 0, 'A buffer has an impossible address');
      addresses.set(memory, base);
    }
    const address = base + target.byteOffset + offset;
    iovec[0] = address % WORD;
    iovec[1] = address / WORD;
    iovec[2] = lengthBytes;
    // An optimised caller that uses the buffer no more would not keep it during the call: only its address is given.
    held.memory = memory;
    const moved = Number(preadv2(fd, iovec, 1, positionBytes, RWF_NOWAIT));
    return moved < 0 ? -koffi.errno() : moved;
  };
}
