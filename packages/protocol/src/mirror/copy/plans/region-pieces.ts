// Cuts regions into pieces and counts which pieces are under way. Which region is next is the job of the plans. Invariants: a region is
// begun again only after all pieces of its earlier attempt have ended, because an older copy may overtake a newer one. A region is copied
// when all of its pieces were copied in one attempt. A region of which only some blocks are to be copied has pieces with runs.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_REGION_BYTES } from '../../../wire/limits.ts';
import type { Blocks } from '../../lacks/block-set.ts';
import { LACK_BLOCK_BYTES } from '../../lacks/limits.ts';
import { PIECE_RUNS_MAX } from './limits.ts';

/** Positions are in bytes. */
export interface PieceRange {
  readonly region: number;
  readonly beginBytes: number;
  readonly endBytes: number;
}

export interface Piece extends PieceRange {
  /** What is copied, in pairs: begin and end. It begins with `beginBytes` and ends with `endBytes`. */
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

/** `more`: the attempt goes on. `copied`: the whole region was copied. `void`: the attempt has ended without success. */
export type PieceOutcome = 'more' | 'copied' | 'void';

export class RegionPieces {
  /** Size of the volume. */
  sizeBytes = 0;
  /** Pieces under way. */
  underWay = 0;
  private readonly attempts = new Map<number, Attempt>();

  /** True if the region is being copied, or if pieces of an attempt that is void are still under way. */
  has(region: number): boolean {
    return this.attempts.has(region);
  }

  /** Regions that are being copied. */
  get regions(): number {
    let count = 0;
    for (const attempt of this.attempts.values()) if (!attempt.isVoid) count++;
    return count;
  }

  /** `blocks`: what is to be copied of the region. */
  begin(region: number, blocks: Blocks = 'whole'): void {
    assert(!this.attempts.has(region), 'A region is copied twice at the same time');
    const beginBytes = region * MIRROR_REGION_BYTES;
    const endBytes = Math.min(beginBytes + MIRROR_REGION_BYTES, this.sizeBytes);
    assert(beginBytes < endBytes, 'A region beyond the end of the volume is copied');
    const attempt = { region, cutBytes: beginBytes, endBytes, blocks, underWay: 0, isVoid: false };
    const first = nextOf(attempt, beginBytes, true);
    // Blocks that are all beyond the end of the volume say nothing.
    this.attempts.set(region, first < endBytes ? { ...attempt, cutBytes: first } : { ...attempt, blocks: 'whole' });
  }

  /** A region of which a piece can be cut; -1 if there is none. `isWanted` can leave regions out. */
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

  /** True if what is copied of the region counts for nothing any more. */
  isVoid(region: number): boolean {
    return this.attemptOf(region).isVoid;
  }

  ended({ region }: Piece, isCopied: boolean): PieceOutcome {
    const attempt = this.attemptOf(region);
    attempt.underWay--;
    this.underWay--;
    if (!isCopied) attempt.isVoid = true;
    if (attempt.underWay > 0) return 'more';
    if (!attempt.isVoid && attempt.cutBytes < attempt.endBytes) return 'more';
    this.attempts.delete(region);
    return attempt.isVoid ? 'void' : 'copied';
  }

  /** What was copied of the region counts no more. */
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

/** Bytes of the volume that a piece copies. */
export function bytesOf({ runs }: Piece): number {
  let bytes = 0;
  for (let at = 0; at < runs.length; at += 2) bytes += runs[at + 1]! - runs[at]!;
  return bytes;
}

/** The first byte from `fromBytes` on that is to be copied, or that is not; the end of the attempt if there is none. */
function nextOf({ region, endBytes, blocks }: Attempt, fromBytes: number, isToCopy: boolean): number {
  if (blocks === 'whole' || blocks === null) return isToCopy ? fromBytes : endBytes;
  const base = region * MIRROR_REGION_BYTES;
  let block = Math.floor((fromBytes - base) / LACK_BLOCK_BYTES);
  while (base + block * LACK_BLOCK_BYTES < endBytes && ((blocks[block >>> 5]! >>> (block & 31)) & 1) !== (isToCopy ? 1 : 0)) block++;
  return Math.min(endBytes, Math.max(fromBytes, base + block * LACK_BLOCK_BYTES));
}
