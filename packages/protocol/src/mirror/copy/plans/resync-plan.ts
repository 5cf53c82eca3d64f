// Decides what is copied to one replica that returns, and when it has caught up (rule M12): everything that is set in a map of I, in its own
// map, or that this holder has sent to I. The copier executes the orders. Invariants: the copy starts again whenever the replica's session,
// handle or incarnation changes. An unsettled region is not copied. The replica has caught up only when every region was copied while the
// replica got all changes, and no region has diverged since.

import type { MirrorMapAnswer } from '../../../wire/mirror/messages.ts';
import { RegionSet } from '../../regions/region-set.ts';
import { type MapPage, MapReader } from './map-reader.ts';
import { type Piece, RegionPieces } from './region-pieces.ts';

//   away --the replica has a session--> map --its whole map is read--> copying --all copied--> caught-up
//   map, copying, caught-up --another session, handle or incarnation--> map        caught-up --a region diverged--> copying
export type ResyncPhase = 'away' | 'map' | 'copying' | 'caught-up';

export class ResyncPlan {
  readonly identity: string;
  phase: ResyncPhase = 'away';
  tenure: string | null = null;
  bytesCopied = 0;
  private readonly touched: RegionSet;
  private readonly unsettled: RegionSet;
  private readonly pieces = new RegionPieces();
  private readonly map = new MapReader();
  private toCopy = new RegionSet();
  private cursor = 0;

  constructor(identity: string, touched: RegionSet, unsettled: RegionSet) {
    this.identity = identity;
    this.touched = touched;
    this.unsettled = unsettled;
  }

  get regionsLeft(): number {
    return this.toCopy.count;
  }

  get underWay(): number {
    return this.pieces.underWay;
  }

  /** A replica that returns starts again when the volume has grown, because what is beyond the old end was not looked at. */
  setSize(sizeBytes: number): void {
    if (sizeBytes === this.pieces.sizeBytes) return;
    this.pieces.sizeBytes = sizeBytes;
    if (this.phase !== 'caught-up') this.tenure = null;
  }

  /**
   * The replica has a session. From now on, changes go to it, too: therefore, what was touched is looked up now and not earlier. The pages of
   * its map come later, because a map only grows while its replica is not in sync.
   */
  setTenure(tenure: string): void {
    if (tenure === this.tenure) return;
    this.tenure = tenure;
    this.pieces.voidAll();
    this.toCopy = new RegionSet();
    this.toCopy.addAll(this.touched);
    this.toCopy.addAll(this.unsettled);
    this.map.begin();
    this.cursor = 0;
    this.bytesCopied = 0;
    this.phase = 'map';
  }

  /** The page of the replica's map that is to be read now; null if none is. */
  nextPage(): MapPage | null {
    return this.phase === 'map' ? this.map.next() : null;
  }

  /** See MapReader.read. */
  pageRead(page: MapPage, answer: MirrorMapAnswer | null, regions: number): boolean {
    if (this.phase !== 'map') return true;
    const isRight = this.map.read(page, answer, regions, this.toCopy);
    if (isRight && this.map.isComplete) this.phase = 'copying';
    return isRight;
  }

  /** The region differs again in I: a change was executed at some of the replicas only. */
  diverged(region: number): void {
    if (this.phase === 'away') return;
    this.toCopy.add(region);
    this.pieces.void(region);
    if (this.phase === 'caught-up') this.phase = 'copying';
  }

  /** The next piece to copy from a settled member of I to the replica. Null if there is none now. */
  nextPiece(maxBytes: number): Piece | null {
    if (this.phase !== 'copying') return null;
    let region = this.pieces.uncut(() => true);
    if (region < 0) region = this.nextFree();
    if (region < 0) return null;
    if (!this.pieces.has(region)) this.pieces.begin(region);
    return this.pieces.cut(region, maxBytes);
  }

  /** True if the piece need not be copied any more. It must end nevertheless. */
  isVoid(piece: Piece): boolean {
    return this.pieces.isVoid(piece.region);
  }

  /** `isCopied`: the replica has answered the copy with OK. */
  pieceEnded(piece: Piece, isCopied: boolean): void {
    if (isCopied) this.bytesCopied += piece.endBytes - piece.beginBytes;
    if (this.pieces.ended(piece, isCopied) === 'copied') this.toCopy.remove(piece.region);
  }

  /**
   * True if everything is copied. All earlier changes are answered there, too: those that were sent since the replica has its session wait
   * for its answer, and the copy of a region has waited for older ones.
   */
  hasCaughtUp(): boolean {
    if (this.phase === 'copying' && this.toCopy.count === 0 && this.pieces.underWay === 0) this.phase = 'caught-up';
    return this.phase === 'caught-up';
  }

  private nextFree(): number {
    for (let turn = 0, from = this.cursor; turn < 2; turn++, from = 0) {
      let region = this.toCopy.firstFromOutside(from, this.unsettled);
      for (; region >= 0; region = this.toCopy.firstFromOutside(region + 1, this.unsettled)) {
        if (this.pieces.has(region)) continue;
        this.cursor = region + 1;
        return region;
      }
    }
    return -1;
  }
}
