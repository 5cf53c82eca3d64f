// Executes several reads and writes in one system call, io_submit(2). Node does not offer this call, so it is made through koffi. Use
// this call only for descriptors whose I/O the kernel completes within io_submit, such as a non-blocking /dev/fuse,
// so that no I/O is in flight after `execute`. Invariants: the kernel uses only the given ranges of the buffers, and only during `execute`;
// if the kernel loses a result, the process exits, because the outcome of that I/O is unknown.

import { assert } from '@rsio/base/lib/assert';
import type * as Koffi from 'koffi';
import { native } from '../../sys/koffi.ts';

export interface KernelAio {
  readonly callsMax: number;
  /** Prepares the call with number `index` as a read. The call stays prepared until another call with this number is prepared. */
  prepareRead(index: number, fd: number, target: Buffer): void;
  prepareWrite(index: number, fd: number, source: Buffer, start: number, end: number): void;
  /**
   * Executes the prepared calls 0 to `count` - 1 in this order. Element `index` of the result is the number of bytes of that call, or a
   * negative errno. The next `execute` overwrites the results.
   */
  execute(count: number): Int32Array;
}

interface Numbers {
  readonly setup: number;
  readonly submit: number;
  readonly getEvents: number;
}

/** System call numbers, because glibc has no wrapper functions for these calls. */
const ARCHITECTURES: Readonly<Partial<Record<string, Numbers>>> = {
  x64: { setup: 206, submit: 209, getEvents: 208 },
  arm64: { setup: 0, submit: 2, getEvents: 4 },
};
/**
 * Sizes of the kernel's structures in 32-bit words. Positions of the words in a struct iocb: 0 data, 4 opcode, 5 descriptor, 6 and 7
 * address, 8 length. In a struct io_event: 0 data, 4 result.
 */
const IOCB_WORDS = 16;
const EVENT_WORDS = 8;
const WORD_BYTES = 4;
const [PREAD, PWRITE] = [0, 1];
const WORD = 2 ** 32;

/** Returns null if this machine does not offer or permit asynchronous I/O. */
export function systemAio(callsMax: number): KernelAio | null {
  const numbers = process.platform === 'linux' ? ARCHITECTURES[process.arch] : undefined;
  if (numbers === undefined) return null;
  return bind(numbers, callsMax);
}

function bind(numbers: Numbers, callsMax: number): KernelAio | null {
  const { koffi, library } = native();
  const setup = library.func('syscall', 'int64_t', ['int64_t', 'uint32_t', 'void *']);
  const submit = library.func('syscall', 'int64_t', ['int64_t', 'uint64_t', 'int64_t', 'void *']);
  const getEvents = library.func('syscall', 'int64_t', ['int64_t', 'uint64_t', 'int64_t', 'int64_t', 'void *', 'void *']);
  const addressOf = addresses(koffi);

  const calls = new Uint32Array(new ArrayBuffer(callsMax * IOCB_WORDS * WORD_BYTES));
  const callsAt = addressOf(calls);
  const pointers = new Uint32Array(new ArrayBuffer(callsMax * 2 * WORD_BYTES));
  for (let index = 0; index < callsMax; index++) {
    calls[index * IOCB_WORDS] = index;
    setAddress(pointers, index * 2, callsAt + index * IOCB_WORDS * WORD_BYTES);
  }
  const events = new Int32Array(new ArrayBuffer(callsMax * EVENT_WORDS * WORD_BYTES));
  const results = new Int32Array(callsMax);
  const context = new Uint32Array(new ArrayBuffer(2 * WORD_BYTES));
  if (Number(setup(numbers.setup, callsMax, context)) !== 0) return null;
  const contextAt = (context[1] ?? 0) * WORD + (context[0] ?? 0);
  // Keeps the buffers alive, because the structures only contain the addresses of the buffers.
  const held: (Buffer | null)[] = Array.from({ length: callsMax }, () => null);

  const prepare = (index: number, opcode: number, fd: number, bytes: Buffer, start: number, end: number): void => {
    if (!(index >= 0 && index < callsMax && start >= 0 && start <= end && end <= bytes.length)) assert(false, 'A call beyond its bounds');
    const at = index * IOCB_WORDS;
    held[index] = bytes;
    calls[at + 4] = opcode;
    calls[at + 5] = fd;
    setAddress(calls, at + 6, addressOf(bytes) + start);
    calls[at + 8] = end - start;
  };
  return {
    callsMax,
    prepareRead: (index, fd, target) => prepare(index, PREAD, fd, target, 0, target.length),
    prepareWrite: (index, fd, source, start, end) => prepare(index, PWRITE, fd, source, start, end),
    execute: (count) => {
      for (let done = 0; done < count; ) {
        const rest = done === 0 ? pointers : pointers.subarray(done * 2);
        const taken = Number(submit(numbers.submit, contextAt, count - done, rest));
        if (taken <= 0) {
          // The kernel has refused the first of the submitted calls and has not examined the calls after it.
          results[done++] = -koffi.errno();
          continue;
        }
        const ended = Number(getEvents(numbers.getEvents, contextAt, taken, taken, events, null));
        assert(ended === taken, 'The kernel has lost the result of a call');
        for (let event = 0; event < ended; event++) results[events[event * EVENT_WORDS] ?? 0] = events[event * EVENT_WORDS + 4] ?? 0;
        done += taken;
      }
      return results;
    },
  };
}

/** Returns a function that gives the address of a view. Addresses are cached, because the memory of an ArrayBuffer never moves. */
function addresses(koffi: typeof Koffi): (view: Uint8Array | Uint32Array) => number {
  const known = new WeakMap<ArrayBufferLike, number>();
  return (view) => {
    let base = known.get(view.buffer);
    if (base === undefined) {
      base = Number(koffi.address(new Uint8Array(view.buffer)));
      assert(Number.isSafeInteger(base) && base > 0, 'A buffer has an impossible address');
      known.set(view.buffer, base);
    }
    return base + view.byteOffset;
  };
}

function setAddress(words: Uint32Array, at: number, address: number): void {
  words[at] = address % WORD;
  words[at + 1] = address / WORD;
}
