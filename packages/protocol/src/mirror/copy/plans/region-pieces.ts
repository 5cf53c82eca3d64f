// Cuts regions into pieces and counts which pieces are under way. Which region is next is the job of the plans. Invariants: a region is
// begun again only after all pieces of its earlier attempt have ended, because an older copy may overtake a newer one. A region is copied
// when all of its pieces were copied in one attempt.

import { assert } from '@rsio/common/lib/assert';
import { MIRROR_REGION_BYTES } from '../../../wire/limits.ts';

/** Positions are in bytes. */
export interface Piece {
  readonly region: number;
  readonly beginBytes: number;
  readonly endBytes: number;
}

interface Attempt {
  cutBytes: number;
  readonly endBytes: number;
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

  begin(region: number): void {
    assert(!this.attempts.has(region), 'A region is copied twice at the same time');
    const beginBytes = region * MIRROR_REGION_BYTES;
    const endBytes = Math.min(beginBytes + MIRROR_REGION_BYTES, this.sizeBytes);
    assert(beginBytes < endBytes, 'A region beyond the end of the volume is copied');
    this.attempts.set(region, { cutBytes: beginBytes, endBytes, underWay: 0, isVoid: false });
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
    attempt.cutBytes = Math.min(beginBytes + maxBytes, attempt.endBytes);
    attempt.underWay++;
    this.underWay++;
    return { region, beginBytes, endBytes: attempt.cutBytes };
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
