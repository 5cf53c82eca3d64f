// Lost sectors of one volume's storage (docs/PROTOCOL.md, V1), for the oracle. A read of a lost sector may return the content of the disk
// until the next incarnation has started and the client has replayed its log; afterwards a read must not. If a read returns newer content
// of a lost sector, a later read may still return the content of the disk, because the cache may drop the newer content at any time.

/**
 * Values of `incarnations` for sectors that no client has to restore. NONE: the sector was not lost, or was written again since. OVER: the
 * sector was lost, but no client has to restore it.
 */
const NONE = -1;
const OVER = -2;

export class Losses {
  /** Number of sectors that may show old content. */
  count = 0;
  /** For each lost sector: number of the change that is on disk. */
  private readonly levels: Uint32Array;
  /** For each sector: the incarnation of the storage in which the sector was lost; or NONE or OVER. */
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

  /** No client will restore the sector, so reads must return its content on disk, or newer content. */
  isNobodys(sector: number): void {
    this.incarnations[sector] = OVER;
    this.count--;
  }

  /** The oldest change that a read may return if it is submitted now; `floor` is the required change of the sector. */
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

  /**
   * Ends the effect of losses in incarnations before `beforeIncarnation`. Calls `ended` with each sector that was lost in an earlier
   * incarnation.
   */
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
