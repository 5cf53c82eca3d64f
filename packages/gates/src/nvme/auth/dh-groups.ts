// The Diffie-Hellman groups of RFC 7919, by their numbers in DH-HMAC-CHAP. Invariant: the crypto library recognizes each group, so that
// private values are short and the arithmetic is quick.

import { createDiffieHellman } from 'node:crypto';

/** By the number of the group: the bits of its prime, and the addend that makes it a safe prime (RFC 7919, appendix A). */
const GROUPS: ReadonlyMap<number, { readonly bits: number; readonly addend: bigint }> = new Map([
  [1, { bits: 2048, addend: 560_316n }],
  [2, { bits: 3072, addend: 2_625_351n }],
  [3, { bits: 4096, addend: 5_736_041n }],
  [4, { bits: 6144, addend: 15_705_020n }],
  [5, { bits: 8192, addend: 10_965_728n }],
]);
const CHEAPEST_BYTES = 256;
const GENERATOR = 2;
/** Bits after the binary point, so that the bits before it are exact in the sum for e. */
const GUARD_BITS = 64;

/** One side of an exchange. */
export interface DhPair {
  readonly publicValue: Buffer;
  /** Returns the shared secret, in the length of the prime; null if the other side's value is out of range. Takes milliseconds. */
  secretWith(publicValue: Buffer): Buffer | null;
}

/** Length of the group's public values in bytes; 0 for the null group; null if there is no such group. */
export function dhBytes(group: number): number | null {
  if (group === 0) return 0;
  const found = GROUPS.get(group);
  return found === undefined ? null : found.bits / 8;
}

/** Returns about how long a computation in the group takes, in the time of the cheapest group. */
export function dhCost(group: number): number {
  return ((dhBytes(group) ?? 0) / CHEAPEST_BYTES) ** 2;
}

/** Returns a new pair; null if there is no such group. Takes milliseconds. */
export function newDhPair(group: number): DhPair | null {
  const prime = primeOf(group);
  if (prime === null) return null;
  const pair = createDiffieHellman(prime, GENERATOR);
  const made = pair.generateKeys();
  return {
    publicValue: Buffer.concat([Buffer.alloc(prime.length - made.length), made]),
    secretWith: (publicValue) => {
      // The library refuses 0, 1 and the prime minus 1, but reduces values beyond the prime.
      if (publicValue.compare(prime) >= 0) return null;
      try {
        return pair.computeSecret(publicValue);
      } catch {
        return null;
      }
    },
  };
}

/** 2^b - 2^(b - 64) + (floor(2^(b - 130) e) + addend) * 2^64 - 1 */
export function primeOf(group: number): Buffer | null {
  const found = GROUPS.get(group);
  if (found === undefined) return null;
  const bits = BigInt(found.bits);
  let [sum, term] = [0n, 1n << (bits - 130n + BigInt(GUARD_BITS))];
  for (let divisor = 1n; term > 0n; divisor++) {
    sum += term;
    term /= divisor;
  }
  const prime = (1n << bits) - (1n << (bits - 64n)) + (((sum >> BigInt(GUARD_BITS)) + found.addend) << 64n) - 1n;
  return Buffer.from(prime.toString(16), 'hex');
}
