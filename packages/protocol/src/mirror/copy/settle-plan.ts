// Decides which unsettled region the copier makes equal next, and when the region is settled (rule M7). The copier copies the region from
// one replica in sync to all others and flushes all of them, the source included. No tenure may change between the copy and the flush.
// Invariant: a region is reported as settled only after a flush that began after the last copy of the region. From the region's first copy
// until the end of this flush, replicas and tenures stay the same, and no change makes the region differ again. Rules: M20.

import { assert } from '@rsio/base/lib/assert';
import type { RegionSet } from '../region-set.ts';
import { SETTLE_ALONE_MAX, SETTLE_REGIONS_MAX, URGENT_REGIONS_MAX } from '../limits.ts';
import { type Piece, RegionPieces } from './region-pieces.ts';
import { isSame, type Tenant } from './tenants.ts';

/** A flush of all replicas in sync that settles `regions`. Only the plan changes the set `regions`. */
export interface SettleFlush {
  readonly regions: Set<number>;
}

export class SettlePlan {
  private members: readonly Tenant[] = [];
  private isPaused = true;
  private readonly unsettled: RegionSet;
  private readonly pieces = new RegionPieces();
  private readonly urgent = new Set<number>();
  /** Regions that are copied and wait for a flush. */
  private copied = new Set<number>();
  private flush: SettleFlush | null = null;
  private cursor = 0;

  constructor(unsettled: RegionSet) {
    this.unsettled = unsettled;
  }

  get underWay(): number {
    return this.pieces.underWay;
  }

  /** True if a user's READ waits for a region that this plan must settle. */
  get isUrgent(): boolean {
    return this.urgent.size > 0;
  }

  setSize(sizeBytes: number): void {
    if (sizeBytes === this.pieces.sizeBytes) return;
    this.pieces.sizeBytes = sizeBytes;
    this.startAgain();
  }

  /**
   * `members`: all replicas in sync. Null while a replica in sync cannot be used, or while a configuration is pending. While `members` is
   * null, the plan begins no copy and no flush. Copies that have begun still count if the same members return with the same tenures.
   */
  setMembers(members: readonly Tenant[] | null): void {
    this.isPaused = members === null;
    if (members === null || isSame(this.members, members)) return;
    this.members = members;
    this.startAgain();
  }

  /** Called when a user's READ waits for the region: the plan settles this region first. */
  hurry(region: number): void {
    if (this.urgent.size < URGENT_REGIONS_MAX && this.unsettled.has(region)) this.urgent.add(region);
  }

  /** Called when the region differs between replicas again, because only some of them have executed a change. */
  diverged(region: number): void {
    this.pieces.void(region);
    this.copied.delete(region);
    this.flush?.regions.delete(region);
  }

  isHurried(region: number): boolean {
    return this.urgent.has(region);
  }

  /** Returns the next piece to copy from one member to all others; null if no piece can be copied now. */
  nextPiece(maxBytes: number, isUrgentOnly: boolean): Piece | null {
    if (this.isPaused || this.members.length < 2) return null;
    let region = this.urgent.size > 0 ? this.nextUrgent() : -1;
    if (region < 0 && !isUrgentOnly) region = this.nextOther();
    if (region < 0) return null;
    if (!this.pieces.has(region)) this.pieces.begin(region);
    return this.pieces.cut(region, maxBytes);
  }

  /** True if the piece no longer needs to be copied. The caller must still call `pieceEnded` for the piece. */
  isVoid(piece: Piece): boolean {
    return this.pieces.isVoid(piece.region);
  }

  /** `isCopied`: true if all members except the source have answered the copy with OK. */
  pieceEnded(piece: Piece, isCopied: boolean): void {
    if (this.pieces.ended(piece, isCopied) !== 'copied') return;
    assert(this.flush?.regions.has(piece.region) !== true, 'A region is settled by a flush that began before its copy');
    this.copied.add(piece.region);
  }

  /**
   * Returns the flush to send to all members now; null if no flush is due. Several regions share a flush. The flush is sent if a READ waits
   * for one of the flush's regions, if the flush has many regions, or if nothing else can be copied. If only one replica is in sync, there
   * is nothing to copy, and the flush alone settles the regions.
   */
  nextFlush(): SettleFlush | null {
    if (this.flush !== null || this.isPaused) return null;
    if (this.members.length === 1) this.takeAll();
    if (this.copied.size === 0 || !this.isFlushDue()) return null;
    this.flush = { regions: this.copied };
    this.copied = new Set();
    return this.flush;
  }

  /**
   * `isFlushed`: true if all members have answered the flush with OK, and each member still has the tenure that was given to `setMembers`.
   * Returns the regions that are settled.
   */
  flushEnded(flush: SettleFlush, isFlushed: boolean): ReadonlySet<number> {
    if (flush !== this.flush) return new Set();
    this.flush = null;
    if (!isFlushed) return new Set();
    for (const region of flush.regions) this.urgent.delete(region);
    return flush.regions;
  }

  private startAgain(): void {
    this.pieces.voidAll();
    this.copied.clear();
    this.flush = null;
  }

  private nextUrgent(): number {
    const cut = this.pieces.uncut((region) => this.urgent.has(region));
    if (cut >= 0) return cut;
    for (const region of this.urgent) {
      if (!this.unsettled.has(region)) this.urgent.delete(region);
      else if (this.isFree(region)) return region;
    }
    return -1;
  }

  private nextOther(): number {
    const cut = this.pieces.uncut(() => true);
    if (cut >= 0) return cut;
    if (this.pieces.regions + this.copied.size >= SETTLE_REGIONS_MAX) return -1;
    return this.nextFree();
  }

  /**
   * Returns the first unsettled region whose settling has not begun, and -1 if there is no such region. The search begins at the cursor and
   * continues from region 0.
   */
  private nextFree(): number {
    for (let turn = 0, from = this.cursor; turn < 2; turn++, from = 0) {
      for (let region = this.unsettled.firstFrom(from); region >= 0; region = this.unsettled.firstFrom(region + 1)) {
        if (!this.isFree(region)) continue;
        this.cursor = region + 1;
        return region;
      }
    }
    return -1;
  }

  private isFree(region: number): boolean {
    return !this.pieces.has(region) && !this.copied.has(region) && this.flush?.regions.has(region) !== true;
  }

  private takeAll(): void {
    for (let region = this.unsettled.firstFrom(0); region >= 0; region = this.unsettled.firstFrom(region + 1)) {
      if (this.copied.size >= SETTLE_ALONE_MAX) break;
      if (!this.pieces.has(region)) this.copied.add(region);
    }
  }

  private isFlushDue(): boolean {
    if (this.copied.size >= SETTLE_REGIONS_MAX || this.pieces.regions === 0) return true;
    for (const region of this.urgent) if (this.copied.has(region)) return true;
    return false;
  }
}
