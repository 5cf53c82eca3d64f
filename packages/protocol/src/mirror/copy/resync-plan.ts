// Decides which regions are copied to one replica that returns, and when this replica has caught up (rule M12). The plan copies blocks that
// the replica may lack, unsettled regions, and regions that only the replica's own map contains. The copier executes the orders.
// Invariants: the plan starts again whenever the replica's session, handle or incarnation changes. A region is copied only after it is
// settled. The replica has caught up only when everything was copied while all changes went to the replica, and no region has diverged
// since. Rules: M20.

import { assert } from '@rsio/base/lib/assert';
import type { MirrorMapAnswer } from '../../wire/mirror-messages.ts';
import { BlockSet } from '../lacks/block-set.ts';
import { RegionSet } from '../region-set.ts';
import { type MapPage, MapReader } from './map-reader.ts';
import { bytesOf, type Piece, RegionPieces } from './region-pieces.ts';

//   away --the replica has a session--> map --its whole map is read--> copying --all copied--> caught-up
//   map, copying, caught-up --another session, handle or incarnation--> map        caught-up --a region diverged--> copying
export type ResyncPhase = 'away' | 'map' | 'copying' | 'caught-up';

export interface ResyncSource {
  readonly touched: RegionSet;
  readonly unsettled: RegionSet;
  /** Blocks that the replica may lack in its current incarnation. */
  lacking(identity: string): BlockSet;
}

export class ResyncPlan {
  readonly identity: string;
  phase: ResyncPhase = 'away';
  tenure: string | null = null;
  bytesCopied = 0;
  /** Number of bytes copied to this replica. Unlike `bytesCopied`, this number is not reset when the copy starts again. */
  copiedInAll = 0;
  private readonly source: ResyncSource;
  private readonly unsettled: RegionSet;
  private readonly pieces = new RegionPieces();
  private readonly map = new MapReader();
  private toCopy = new BlockSet();
  /** Regions that were touched when `toCopy` was determined. */
  private considered = new RegionSet();
  private cursor = 0;

  constructor(identity: string, source: ResyncSource) {
    this.identity = identity;
    this.source = source;
    this.unsettled = source.unsettled;
  }

  /** Bytes still to copy. A region that is being copied counts in full until all of it is copied. */
  get bytesLeft(): number {
    return this.toCopy.bytesIn(this.pieces.sizeBytes);
  }

  /** Blocks still to copy. A region of which only some pieces were copied is still in the set with all its blocks. */
  remaining(): BlockSet {
    return this.toCopy.clone();
  }

  get underWay(): number {
    return this.pieces.underWay;
  }

  /** If the volume grows, the copy to the replica starts again, because the plan does not know the part beyond the old end. */
  setSize(sizeBytes: number): void {
    if (sizeBytes === this.pieces.sizeBytes) return;
    this.pieces.sizeBytes = sizeBytes;
    if (this.phase !== 'caught-up') this.tenure = null;
  }

  /**
   * Called when the replica has a session to which all changes go. At this time, and not earlier, the plan looks up which blocks the
   * replica may lack. The pages of the replica's map may be read later, because the map only grows while the replica is out of sync.
   */
  setTenure(tenure: string): void {
    if (tenure === this.tenure) return;
    this.tenure = tenure;
    this.pieces.voidAll();
    this.toCopy = this.source.lacking(this.identity);
    this.considered = new RegionSet();
    this.considered.addAll(this.source.touched);
    for (let region = this.unsettled.firstFrom(0); region >= 0; region = this.unsettled.firstFrom(region + 1))
      this.toCopy.add(region, 'whole');
    this.map.begin();
    this.cursor = 0;
    this.bytesCopied = 0;
    this.phase = 'map';
  }

  /** Returns the page of the replica's map to read now; null if no page must be read now. */
  nextPage(): MapPage | null {
    return this.phase === 'map' ? this.map.next() : null;
  }

  /** Adds the regions of a page that was read. `answer`: null if the page could not be read. Returns false if the answer is malformed. */
  pageRead(page: MapPage, answer: MirrorMapAnswer | null, regions: number): boolean {
    if (this.phase !== 'map') return true;
    const found = new RegionSet();
    const isRight = this.map.read(page, answer, regions, found);
    // For regions in `considered`, `setTenure` has already chosen the blocks to copy (`source.lacking`). All other regions of the map were
    // changed only on this replica.
    const { considered } = this;
    for (let region = found.firstFromOutside(0, considered); region >= 0; region = found.firstFromOutside(region + 1, considered))
      this.toCopy.add(region, 'whole');
    if (isRight && this.map.isComplete) this.phase = 'copying';
    return isRight;
  }

  /** Called when the region differs again between replicas in sync, because only some of these replicas have executed a change. */
  diverged(region: number): void {
    if (this.phase === 'away') return;
    this.toCopy.add(region, 'whole');
    this.pieces.void(region);
    if (this.phase === 'caught-up') this.phase = 'copying';
  }

  /** Returns the next piece to copy from a replica in sync to this replica; null if no piece can be copied now. */
  nextPiece(maxBytes: number): Piece | null {
    if (this.phase !== 'copying') return null;
    let region = this.pieces.uncut(() => true);
    if (region < 0) region = this.nextFree();
    if (region < 0) return null;
    if (!this.pieces.has(region)) this.pieces.begin(region, this.toCopy.blocksOf(region));
    return this.pieces.cut(region, maxBytes);
  }

  /** True if the piece no longer needs to be copied. The caller must still call `pieceEnded` for the piece. */
  isVoid(piece: Piece): boolean {
    return this.pieces.isVoid(piece.region);
  }

  /** `isCopied`: true if the replica has answered the copy with OK. */
  pieceEnded(piece: Piece, isCopied: boolean): void {
    if (isCopied) {
      this.bytesCopied += bytesOf(piece);
      this.copiedInAll += bytesOf(piece);
    }
    if (this.pieces.ended(piece, isCopied) === 'copied') this.toCopy.remove(piece.region);
  }

  /**
   * True if all blocks are copied; if so, the replica has every change that was sent before its session began. A change that was sent
   * during the replica's session is acknowledged only after the replica's answer. The copy of a region has waited for all older changes of
   * the region.
   */
  hasCaughtUp(): boolean {
    if (this.phase === 'copying' && this.toCopy.regions.count === 0 && this.pieces.underWay === 0) this.phase = 'caught-up';
    const hasCaughtUp = this.phase === 'caught-up';
    assert(!hasCaughtUp || this.toCopy.regions.count === 0, 'A replica has caught up and lacks something');
    return hasCaughtUp;
  }

  private nextFree(): number {
    for (let turn = 0, from = this.cursor; turn < 2; turn++, from = 0) {
      const { regions } = this.toCopy;
      let region = regions.firstFromOutside(from, this.unsettled);
      for (; region >= 0; region = regions.firstFromOutside(region + 1, this.unsettled)) {
        if (this.pieces.has(region)) continue;
        this.cursor = region + 1;
        return region;
      }
    }
    return -1;
  }
}
