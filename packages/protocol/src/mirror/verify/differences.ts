// Collects the ranges in which replicas of a mirror differ. Checksums show the ranges; adjacent ranges are joined, and the number of ranges
// is bounded. Pure. Invariant: every byte that differs is counted once, even if its range is not kept.

import { MIRROR_SUM_BYTES } from '../../wire/limits.ts';
import { VERIFY_RANGES_MAX } from '../limits.ts';

/** Positions are in bytes. */
export interface ByteRange {
  readonly beginBytes: number;
  readonly endBytes: number;
}

export interface DifferentRange extends ByteRange {
  /** Identities of the replicas that differ from the first replica. */
  readonly replicas: readonly string[];
  readonly isRepaired: boolean;
}

/** The checksums of the pieces of a range at one replica. */
export interface RangeSums {
  readonly identity: string;
  readonly sums: Buffer;
}

/**
 * Returns the pieces of the range whose checksums are not equal at all replicas, each with the replicas that differ from the first replica.
 */
export function differentPieces({ beginBytes, endBytes }: ByteRange, pieceBytes: number, all: readonly RangeSums[]): DifferentRange[] {
  const [first, ...others] = all;
  if (first === undefined) return [];
  const different: DifferentRange[] = [];
  for (let at = 0, begin = beginBytes; begin < endBytes; at += MIRROR_SUM_BYTES, begin += pieceBytes) {
    const replicas = others.filter(({ sums }) => first.sums.compare(sums, at, at + MIRROR_SUM_BYTES, at, at + MIRROR_SUM_BYTES) !== 0);
    if (replicas.length === 0) continue;
    const identities = replicas.map(({ identity }) => identity);
    different.push({ beginBytes: begin, endBytes: Math.min(begin + pieceBytes, endBytes), replicas: identities, isRepaired: false });
  }
  return different;
}

/** True if each answer has a checksum for each piece of the range. */
export function areWhole({ beginBytes, endBytes }: ByteRange, pieceBytes: number, all: readonly RangeSums[]): boolean {
  const count = Math.ceil((endBytes - beginBytes) / pieceBytes);
  return all.every(({ sums }) => sums.length === count * MIRROR_SUM_BYTES);
}

export class Differences {
  readonly ranges: DifferentRange[] = [];
  /** `bytes`: number of bytes in ranges that differed. `repairedBytes`: number of these bytes that were repaired. */
  bytes = 0;
  repairedBytes = 0;

  add(range: DifferentRange): void {
    const lengthBytes = range.endBytes - range.beginBytes;
    this.bytes += lengthBytes;
    if (range.isRepaired) this.repairedBytes += lengthBytes;
    const last = this.ranges.at(-1);
    if (last !== undefined && last.endBytes === range.beginBytes && isAlike(last, range))
      this.ranges[this.ranges.length - 1] = { ...last, endBytes: range.endBytes };
    else if (this.ranges.length < VERIFY_RANGES_MAX) this.ranges.push(range);
  }
}

function isAlike(one: DifferentRange, other: DifferentRange): boolean {
  return one.isRepaired === other.isRepaired && one.replicas.join() === other.replicas.join();
}
