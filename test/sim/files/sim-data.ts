// The data of a simulated file: a storage, and the place on the disk of each sector, as in a file system with reflink. A clone shares the
// places of its source. When a changed sector with a shared place is written back, the sector gets a new place. Invariant: a changed sector
// keeps its place until it is written back.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { MappedExtent } from '@rsio/rssrv/pools/disk/data-file';
import type { SimStorage } from '../storage/sim-storage.ts';

/** The flag FIEMAP_EXTENT_SHARED of the kernel: the blocks of an extent are shared with another file. */
const SHARED = 0x2000;
const ZEROS = Buffer.alloc(SECTOR_BYTES);

/** Allocates places on one disk. Each place is allocated once and never reused. */
export class SimPlaces {
  /** The data of all files on this disk. */
  readonly users = new Set<SimData>();
  private last = 0;

  next(): number {
    return ++this.last;
  }

  isShared(data: SimData, sector: number): boolean {
    const place = data.places[sector]!;
    for (const other of this.users) if (other !== data && other.places[sector] === place) return true;
    return false;
  }
}

export class SimData {
  readonly storage: SimStorage;
  /** Place of each sector; 0: a hole. */
  readonly places: Int32Array;
  private readonly disk: SimPlaces;

  constructor(storage: SimStorage, disk: SimPlaces) {
    this.storage = storage;
    this.disk = disk;
    this.places = new Int32Array(storage.content.length / SECTOR_BYTES);
    storage.cache.written = (first, count) => this.written(first, count);
    disk.users.add(this);
  }

  /** Takes over sectors of another file as they are on disk, and shares their places with that file. */
  take(from: SimData, first: number, count: number): void {
    const [begin, end] = [first * SECTOR_BYTES, (first + count) * SECTOR_BYTES];
    const { cache } = this.storage;
    from.storage.cache.disk.copy(cache.content, begin, begin, end);
    cache.content.copy(cache.disk, begin, begin, end);
    this.places.set(from.places.subarray(first, first + count), first);
  }

  /** Empties the file, as if no data had been cloned into it. */
  empty(): void {
    const { cache } = this.storage;
    cache.content.fill(0);
    cache.disk.fill(0);
    this.places.fill(0);
  }

  extents(offsetBytes: number, lengthBytes: number, max: number): MappedExtent[] {
    const found: MappedExtent[] = [];
    const end = Math.min(this.places.length, (offsetBytes + lengthBytes) / SECTOR_BYTES);
    for (let sector = offsetBytes / SECTOR_BYTES; sector < end && found.length <= max; ) {
      const [first, place] = [sector, this.places[sector]!];
      const isShared = this.disk.isShared(this, sector);
      do sector++;
      while (
        sector < end &&
        place !== 0 &&
        this.places[sector] === place + sector - first &&
        this.disk.isShared(this, sector) === isShared
      );
      if (place === 0) continue;
      found.push({
        offsetBytes: first * SECTOR_BYTES,
        lengthBytes: (sector - first) * SECTOR_BYTES,
        physicalBytes: place * SECTOR_BYTES,
        flags: isShared ? SHARED : 0,
      });
    }
    return found.slice(0, max);
  }

  private written(first: number, count: number): void {
    const { content } = this.storage;
    for (let sector = first; sector < first + count; sector++) {
      const at = sector * SECTOR_BYTES;
      if (content.compare(ZEROS, 0, SECTOR_BYTES, at, at + SECTOR_BYTES) === 0) this.places[sector] = 0;
      else if (this.places[sector] === 0 || this.disk.isShared(this, sector)) this.places[sector] = this.disk.next();
    }
  }
}
