// Sectors of one volume that its storage has lost (docs/PROTOCOL.md, V1), as the oracle knows them: what a read may return, and until when.
// Until the next incarnation has started and the client has sent its log again, a read may return the disk's content; after that, never
// again. What a read returns of a lost sector is no promise, because the cache may lose it at any time.

/** Not forgotten; forgotten, and all that must be there was brought back since. */
const NONE = -1;
const OVER = -2;

export class Losses {
  /** Sectors that show old content rightly. */
  count = 0;
  /** By sector: number of the change that the disk has. */
  private readonly levels: Uint32Array;
  /** By sector: the incarnation of the storage in which it was lost. */
  private readonly incarnations: Int32Array;

  constructor(sectors: number) {
    this.levels = new Uint32Array(sectors);
    this.incarnations = new Int32Array(sectors).fill(NONE);
  }

  forget(sector: number, level: number, incarnation: number): void {
    if (this.incarnations[sector]! < 0) this.count++;
    this.levels[sector] = level;
    this.incarnations[sector] = incarnation;
  }

  /** No client will restore it: the disk's content is all there is. */
  isNobodys(sector: number): void {
    this.incarnations[sector] = OVER;
    this.count--;
  }

  /** The oldest change that a read issued now may show, where `floor` must be. */
  floor(sector: number, floor: number): number {
    return this.incarnations[sector]! >= 0 ? Math.min(floor, this.levels[sector]!) : floor;
  }

  isForgotten(sector: number): boolean {
    return this.incarnations[sector]! >= 0;
  }

  levelOf(sector: number): number {
    return this.levels[sector]!;
  }

  /** Content that a read has returned may be gone for the next read. */
  isFleeting(sector: number): boolean {
    return this.incarnations[sector] !== NONE;
  }

  renewed(firstSector: number, sectors: number): void {
    for (let sector = firstSector; sector < firstSector + sectors; sector++) {
      if (this.incarnations[sector]! >= 0) this.count--;
      this.incarnations[sector] = NONE;
    }
  }

  /** A loss before this incarnation is no excuse any more: `ended` is called with each such sector. */
  end(beforeIncarnation: number, ended: (sector: number) => void): void {
    for (let sector = 0; this.count > 0 && sector < this.incarnations.length; sector++) {
      if (this.incarnations[sector]! < 0 || this.incarnations[sector]! >= beforeIncarnation) continue;
      this.incarnations[sector] = OVER;
      this.count--;
      ended(sector);
    }
  }

  clear(): void {
    this.count = 0;
    this.incarnations.fill(NONE);
  }
}
