// Cuts regions into pieces and counts the pieces in progress. The plans choose the next region. If only some blocks of a region must be
// copied, its pieces list them as runs. Invariants: a new attempt to copy a region begins only after all pieces of the earlier attempt have
// ended, so that no old copy overtakes a newer copy. A region is copied when all of its pieces were copied in one attempt. Rules: M20.

import { assert, counted } from '@rsio/base/lib/assert';
import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import type { Blocks } from '../lacks/block-set.ts';
import { LACK_BLOCK_BYTES, PIECE_RUNS_MAX } from '../limits.ts';

/** Positions are in bytes. */
export interface PieceRange {
  readonly region: number;
  readonly beginBytes: number;
  readonly endBytes: number;
}

export interface Piece extends PieceRange {
  /** Ranges to copy, as pairs of begin and end. The first range begins at `beginBytes`, and the last range ends at `endBytes`. */
  readonly runs: readonly number[];
}

interface Attempt {
  readonly region: number;
  /** The next byte to copy, or `endBytes`. */
  cutBytes: number;
  readonly endBytes: number;
  readonly blocks: Blocks;
  underWay: number;
  isVoid: boolean;
}

/** `more`: the attempt continues. `copied`: the whole region was copied. `void`: the attempt has ended without success. */
export type PieceOutcome = 'more' | 'copied' | 'void';

export class RegionPieces {
  sizeBytes = 0;
  underWay = 0;
  private readonly attempts = new Map<number, Attempt>();

  /** True if the region is being copied, or if pieces of a void attempt are still in progress. */
  has(region: number): boolean {
    return this.attempts.has(region);
  }

  /** Number of regions that are being copied. */
  get regions(): number {
    let count = 0;
    for (const attempt of this.attempts.values()) if (!attempt.isVoid) count++;
    return count;
  }

  begin(region: number, blocks: Blocks = 'whole'): void {
    assert(!this.attempts.has(region), 'A region is copied twice at the same time');
    const beginBytes = region * MIRROR_REGION_BYTES;
    const endBytes = Math.min(beginBytes + MIRROR_REGION_BYTES, this.sizeBytes);
    assert(beginBytes < endBytes, 'A region beyond the end of the volume is copied');
    const attempt = { region, cutBytes: beginBytes, endBytes, blocks, underWay: 0, isVoid: false };
    const first = nextOf(attempt, beginBytes, true);
    // If all blocks to copy are beyond the end of the volume, copies the whole region.
    this.attempts.set(region, first < endBytes ? { ...attempt, cutBytes: first } : { ...attempt, blocks: 'whole' });
  }

  /** Returns a region from which a further piece can be cut and for which `isWanted` is true; -1 if there is no such region. */
  uncut(isWanted: (region: number) => boolean): number {
    for (const [region, attempt] of this.attempts) {
      if (!attempt.isVoid && attempt.cutBytes < attempt.endBytes && isWanted(region)) return region;
    }
    return -1;
  }

  /** Cuts the next piece of a region that `uncut` has returned or that was just begun. */
  cut(region: number, maxBytes: number): Piece {
    const attempt = this.attemptOf(region);
    const beginBytes = attempt.cutBytes;
    const mostBytes = Math.min(beginBytes + maxBytes, attempt.endBytes);
    const runs: number[] = [];
    for (let at = beginBytes; at < mostBytes && runs.length < 2 * PIECE_RUNS_MAX; at = nextOf(attempt, runs.at(-1)!, true))
      runs.push(at, Math.min(mostBytes, nextOf(attempt, at, false)));
    const endBytes = runs.at(-1)!;
    attempt.cutBytes = nextOf(attempt, endBytes, true);
    attempt.underWay++;
    this.underWay++;
    return { region, beginBytes, endBytes, runs };
  }

  /** True if the copy of the region is no longer needed. */
  isVoid(region: number): boolean {
    return this.attemptOf(region).isVoid;
  }

  ended({ region }: Piece, isCopied: boolean): PieceOutcome {
    const attempt = this.attemptOf(region);
    attempt.underWay = counted(attempt.underWay - 1, 'pieces of an attempt in progress');
    this.underWay = counted(this.underWay - 1, 'pieces in progress');
    if (!isCopied) attempt.isVoid = true;
    if (attempt.underWay > 0) return 'more';
    if (!attempt.isVoid && attempt.cutBytes < attempt.endBytes) return 'more';
    this.attempts.delete(region);
    return attempt.isVoid ? 'void' : 'copied';
  }

  /** Makes the attempt void: the pieces of the region that were copied so far no longer count. */
  void(region: number): void {
    const attempt = this.attempts.get(region);
    if (attempt === undefined) return;
    attempt.isVoid = true;
    if (attempt.underWay === 0) this.attempts.delete(region);
  }

  voidAll(): void {
    for (const region of [...this.attempts.keys()]) this.void(region);
  }

  private attemptOf(region: number): Attempt {
    const attempt = this.attempts.get(region);
    assert(attempt !== undefined, 'A piece of a region that is not copied');
    return attempt;
  }
}

export function bytesOf({ runs }: Piece): number {
  let bytes = 0;
  for (let at = 0; at < runs.length; at += 2) bytes += runs[at + 1]! - runs[at]!;
  return bytes;
}

/**
 * Returns the first position from `fromBytes` on that must be copied or, if `isToCopy` is false, that need not be copied. Returns the end
 * of the attempt if no position is left.
 */
function nextOf({ region, endBytes, blocks }: Attempt, fromBytes: number, isToCopy: boolean): number {
  if (blocks === 'whole' || blocks === null) return isToCopy ? fromBytes : endBytes;
  const base = region * MIRROR_REGION_BYTES;
  let block = Math.floor((fromBytes - base) / LACK_BLOCK_BYTES);
  while (base + block * LACK_BLOCK_BYTES < endBytes && ((blocks[block >>> 5]! >>> (block & 31)) & 1) !== (isToCopy ? 1 : 0)) block++;
  return Math.min(endBytes, Math.max(fromBytes, base + block * LACK_BLOCK_BYTES));
}
