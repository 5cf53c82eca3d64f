// Mutates valid inputs: flips bits, falsifies lengths, and splices, duplicates, cuts and re-orders parts. A seed determines the mutations.
// The targets make the valid inputs. Invariant: the given input never changes, and the result has at most INPUT_MAX_BYTES.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';

/** Longest input after doubling and splicing. */
const INPUT_MAX_BYTES = 256 * 1024;
/** Numbers at which counters or lengths may overflow. */
const EDGES = [
  0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 2047, 2048, 2049, 4095, 4096, 32767, 32768, 65535,
];
const WIDE_EDGES = [0x10000, 0xfffff, 0x100000, 0x100001, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

type Change = (random: SeededRandom, bytes: Buffer) => Buffer;

function place(random: SeededRandom, bytes: Buffer, widthBytes = 1): number {
  return random.int(0, Math.max(0, bytes.length - widthBytes));
}

function changed(bytes: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

function range(random: SeededRandom, bytes: Buffer): [start: number, end: number] {
  const start = place(random, bytes);
  return [start, Math.min(bytes.length, start + random.int(1, random.chance(0.8) ? 16 : 4096))];
}

const CHANGES: readonly Change[] = [
  // changes a bit
  (random, bytes) => changed(bytes, (copy) => (copy[place(random, copy)]! ^= 1 << random.int(0, 7))),
  // changes a byte
  (random, bytes) => changed(bytes, (copy) => (copy[place(random, copy)] = random.pick(EDGES))),
  // writes wrong values of two or four bytes
  (random, bytes) => (bytes.length < 2 ? bytes : changed(bytes, (copy) => copy.writeUInt16BE(random.pick(EDGES), place(random, copy, 2)))),
  (random, bytes) =>
    bytes.length < 4
      ? bytes
      : changed(bytes, (copy) => copy.writeUInt32BE(random.pick(random.chance(0.5) ? EDGES : WIDE_EDGES), place(random, copy, 4))),
  // cuts off, leaves out or doubles bytes
  (random, bytes) => bytes.subarray(0, place(random, bytes)),
  (random, bytes) => {
    const [start, end] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (random, bytes) => {
    const [start, end] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  // copies one place over another
  (random, bytes) => {
    const [start, end] = range(random, bytes);
    return changed(bytes, (copy) => bytes.copy(copy, place(random, copy), start, end));
  },
  // inserts foreign bytes
  (random, bytes) => {
    const at = place(random, bytes);
    return Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 24)), bytes.subarray(at)]);
  },
];

/** Returns a copy of `bytes` with one to `most` changes. */
export function mutated(random: SeededRandom, bytes: Buffer, most = 4): Buffer {
  let result = bytes;
  for (let left = random.int(1, most); left > 0 && result.length > 0; left--) result = random.pick(CHANGES)(random, result);
  return result.subarray(0, INPUT_MAX_BYTES);
}

/** Returns the items in another order. Some items are repeated, left out or replaced by `others`. */
export function reordered<T>(random: SeededRandom, items: readonly T[], others: () => T): T[] {
  const result = [...items];
  for (let left = random.int(1, 4); left > 0 && result.length > 0; left--) {
    const at = random.int(0, result.length - 1);
    const [item] = result.splice(at, 1);
    const kind = random.int(0, 3);
    if (kind === 0) result.splice(random.int(0, result.length), 0, item!);
    else if (kind === 1) result.splice(at, 0, item!, item!);
    else if (kind === 2) result.splice(at, 0, item!, others());
  }
  return result;
}
