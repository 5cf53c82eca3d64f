// The kernel's cache over one simulated disk. Changes are dirty until they are written back. A failed write-back loses sectors: they are no
// longer dirty, the disk has the old content, and the cache shows the new content until the sectors are evicted. Each open descriptor gets
// the error once; if no descriptor is open, the next descriptor gets it. Later syncs succeed although the sectors are lost. A machine crash
// keeps the content of the disk and a random part of the dirty sectors. The caller is notified of losses, and then decides what reads may
// return.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';

export type WriteBackError = 'EIO' | 'ENOSPC';

/** One open descriptor, with the number of the last error that the descriptor got. */
export interface Descriptor {
  told: number;
}

/** Is notified of lost sectors, and of lost sectors that are written again. */
export interface LossWatch {
  /** The cache shows a change of this sector that will never be on disk. `disk` has the sector's content on disk at `positionBytes`. */
  forgets(sector: number, disk: Buffer, positionBytes: number): void;
  /** Called when all sectors that one failed write-back has lost were reported. */
  hasForgotten(): void;
  /** Sectors that may have been lost were written again. */
  renewed(firstSector: number, sectors: number): void;
}

/** Share of the sectors of a failing write-back that are lost; the other sectors stay dirty. */
const FORGOTTEN_SHARES = [0, 0.2, 0.5, 1] as const;
const STILL_DIRTY_CHANCE = 0.3;

export class SimCache {
  readonly content: Buffer;
  /** The content after a crash of the machine. */
  readonly disk: Buffer;
  /** One byte for each sector: 1 if the sector is dirty. */
  private readonly dirty: Buffer;
  private readonly forgotten: Buffer;
  private forgottenCount = 0;
  private readonly random: SeededRandom;
  watch: LossWatch | null = null;
  /** Called when these sectors are on disk. */
  written: ((firstSector: number, sectors: number) => void) | null = null;
  /** Number of write-back errors so far. Errors that occur before a descriptor gets the error count as one. */
  private errors = 0;
  private error: WriteBackError = 'EIO';
  private isTold = true;

  constructor(sectors: number, random: SeededRandom) {
    this.content = Buffer.alloc(sectors * SECTOR_BYTES);
    this.disk = Buffer.alloc(this.content.length);
    this.dirty = Buffer.alloc(sectors);
    this.forgotten = Buffer.alloc(sectors);
    this.random = random;
  }

  open(): Descriptor {
    return { told: this.isTold ? this.errors : this.errors - 1 };
  }

  /** Returns the error that this descriptor has not got yet; null: there is no new error for it. */
  tell(descriptor: Descriptor): WriteBackError | null {
    if (descriptor.told === this.errors) return null;
    descriptor.told = this.errors;
    this.isTold = true;
    return this.error;
  }

  get hasDirty(): boolean {
    return this.dirty.includes(1);
  }

  /** Whether some of these sectors differ between cache and disk. */
  isUnwritten(firstSector: number, sectors: number): boolean {
    const end = firstSector + sectors;
    return (
      this.dirty.subarray(firstSector, end).includes(1) ||
      (this.forgottenCount > 0 && this.forgotten.subarray(firstSector, end).includes(1))
    );
  }

  /** Calls `told` with each sector whose content on disk is not the newest: dirty and lost sectors. */
  unwritten(told: (sector: number) => void): void {
    for (let at = this.dirty.indexOf(1); at >= 0; at = this.dirty.indexOf(1, at + 1)) told(at);
    if (this.forgottenCount === 0) return;
    for (let at = this.forgotten.indexOf(1); at >= 0; at = this.forgotten.indexOf(1, at + 1)) told(at);
  }

  /** Changes the content. If `source` is null, the new content is zeros. */
  change(positionBytes: number, lengthBytes: number, source: Buffer | null, offset: number): void {
    if (source === null) this.content.fill(0, positionBytes, positionBytes + lengthBytes);
    else source.copy(this.content, positionBytes, offset, offset + lengthBytes);
    const first = positionBytes / SECTOR_BYTES;
    const end = (positionBytes + lengthBytes) / SECTOR_BYTES;
    this.dirty.fill(1, first, end);
    // Also reports sectors that this cache has not lost: an earlier file of the volume may have lost them, before the volume moved.
    this.watch?.renewed(first, end - first);
    if (this.forgottenCount === 0) return;
    for (let at = first; at < end; at++) this.forgottenCount -= this.forgotten[at]!;
    this.forgotten.fill(0, first, end);
  }

  writeThrough(firstSector: number, sectors: number): void {
    const [from, to] = [firstSector * SECTOR_BYTES, (firstSector + sectors) * SECTOR_BYTES];
    this.content.copy(this.disk, from, from, to);
    this.dirty.fill(0, firstSector, firstSector + sectors);
    this.written?.(firstSector, sectors);
  }

  writeBack(firstSector = 0, sectors = this.dirty.length): void {
    const end = firstSector + sectors;
    for (let at = this.dirty.indexOf(1, firstSector); at >= 0 && at < end; at = this.dirty.indexOf(1, at + 1)) {
      const clean = this.dirty.indexOf(0, at);
      this.writeThrough(at, Math.min(clean < 0 ? end : clean, end) - at);
    }
  }

  /**
   * The write-back of these sectors fails. Each of these sectors that is dirty is lost or stays dirty, at random. Returns how many sectors
   * are lost.
   */
  writeBackFails(firstSector = 0, sectors = this.dirty.length): number {
    const { random } = this;
    const share = random.pick(FORGOTTEN_SHARES);
    let count = 0;
    for (let at = this.dirty.indexOf(1, firstSector); at >= 0 && at < firstSector + sectors; at = this.dirty.indexOf(1, at + 1)) {
      if (random.chance(share)) {
        this.forget(at);
        count++;
      } else if (!random.chance(STILL_DIRTY_CHANCE)) {
        this.writeThrough(at, 1);
      }
    }
    if (count > 0) this.watch?.hasForgotten();
    this.error = random.chance(0.8) ? 'EIO' : 'ENOSPC';
    // An error that no descriptor has seen yet is merged with the new error.
    if (this.isTold) this.errors++;
    this.isTold = false;
    return count;
  }

  /** Evicts this share of the lost sectors, so that reads return the disk's content. */
  evict(share: number): void {
    this.drop(() => this.random.chance(share));
  }

  /** Evicts all lost sectors, as a server requests after a failed sync. */
  dropPages(): void {
    this.drop(() => true);
  }

  /** Evicts the lost sectors for which `isDropped` returns true, so that reads return the content of the disk. */
  private drop(isDropped: () => boolean): void {
    if (this.forgottenCount === 0) return;
    for (let at = this.forgotten.indexOf(1); at >= 0; at = this.forgotten.indexOf(1, at + 1)) {
      if (isDropped()) this.disk.copy(this.content, at * SECTOR_BYTES, at * SECTOR_BYTES, (at + 1) * SECTOR_BYTES);
    }
  }

  /**
   * The machine has crashed. For each dirty sector, the disk has either the new content, as if it had just been written back, or the old
   * content.
   */
  crashed(): void {
    const kept = this.random.pick([0, 0.5, 0.9]);
    for (let at = this.dirty.indexOf(1); at >= 0; at = this.dirty.indexOf(1, at + 1))
      if (this.random.chance(kept)) this.writeThrough(at, 1);
    this.disk.copy(this.content);
    this.dirty.fill(0);
    this.forgotten.fill(0);
    this.forgottenCount = 0;
    this.isTold = true;
  }

  private forget(sector: number): void {
    this.dirty[sector] = 0;
    this.forgotten[sector] = 1;
    this.forgottenCount++;
    this.watch?.forgets(sector, this.disk, sector * SECTOR_BYTES);
  }
}
