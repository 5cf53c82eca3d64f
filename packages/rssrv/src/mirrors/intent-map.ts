// The intent map of a replica: one bit for each region of the volume, and a record of the bits that are durable. Pure: map-writer.ts writes
// the pages. Invariants: a bit counts as durable only if it was written, a sync that began after this write has succeeded, and the bit has
// not been cleared since the write. The unused bits beyond the last region are set. If a region is added later, its bit is therefore set.

import { MAP_PAGE_BYTES } from './limits.ts';

const REGIONS_PER_BYTE = 8;
const REGIONS_PER_PAGE = MAP_PAGE_BYTES * REGIONS_PER_BYTE;
const ONES = 0xff;

/** Returns how many bytes the bits of `regions` regions occupy. */
export function bytesOf(regions: number): number {
  return Math.ceil(regions / REGIONS_PER_BYTE);
}

export class IntentMap {
  private count: number;
  /** The current bits. */
  private bits: Buffer;
  /** The bits of each page as they were when the page was last copied for a write. */
  private copied: Buffer;
  /** The bits that are certainly set on disk, always a subset of `bits`. */
  private durable: Buffer;
  /** Pages that may differ from the file. */
  private readonly dirty = new Set<number>();

  /**
   * `bits`: the bits that were read from the file. If the file has fewer bits than `regions`, the missing bits are set. No bit counts
   * as durable at first; see map-writer.ts.
   */
  constructor(regions: number, bits: Buffer = Buffer.alloc(0)) {
    const bytes = bytesOf(regions);
    this.count = regions;
    this.bits = Buffer.alloc(bytes, ONES);
    bits.copy(this.bits, 0, 0, bytes);
    this.copied = Buffer.alloc(bytes);
    this.durable = Buffer.alloc(bytes);
    this.setPadding(regions);
    this.touchFrom(0);
  }

  get regions(): number {
    return this.count;
  }

  get hasDirty(): boolean {
    return this.dirty.size > 0;
  }

  /**
   * Adds regions until the map has `regions` regions. The bits of added regions are set. Does nothing if the map already has enough
   * regions.
   */
  grow(regions: number): void {
    if (regions <= this.count) return;
    const before = this.count;
    const bytes = bytesOf(regions);
    const grown = (from: Buffer, fill: number): Buffer => Buffer.concat([from, Buffer.alloc(bytes - from.length, fill)]);
    this.bits = grown(this.bits, ONES);
    this.copied = grown(this.copied, 0);
    this.durable = grown(this.durable, 0);
    this.count = regions;
    this.touchFrom(before);
  }

  isSet(region: number): boolean {
    return ((this.bits[region >>> 3] ?? ONES) & (1 << (region & 7))) !== 0;
  }

  /** Returns true if the bits of the regions from `first` to `last`, inclusive, are durable. */
  isDurable(first: number, last: number): boolean {
    let region = first;
    while (region <= last) {
      const byte = this.durable[region >>> 3] ?? 0;
      if (isWholeByte(region, last) ? byte !== ONES : (byte & (1 << (region & 7))) === 0) return false;
      region += isWholeByte(region, last) ? REGIONS_PER_BYTE : 1;
    }
    return true;
  }

  /** Sets the bits of the regions from `first` to `last`. Marks pages with bits that are not durable as dirty. */
  set(first: number, last: number): void {
    let region = first;
    while (region <= last) {
      const isWhole = isWholeByte(region, last);
      const [byte, mask] = [region >>> 3, isWhole ? ONES : 1 << (region & 7)];
      this.bits[byte] = this.bits[byte]! | mask;
      if ((this.durable[byte]! & mask) !== mask) this.dirty.add(Math.floor(region / REGIONS_PER_PAGE));
      region += isWhole ? REGIONS_PER_BYTE : 1;
    }
  }

  /** Clears the bits of `count` regions. Numbers beyond the last region are ignored. */
  clear(first: number, count: number): void {
    const last = Math.min(this.count, first + count) - 1;
    let region = first;
    while (region <= last) {
      const isWhole = isWholeByte(region, last);
      const [byte, mask] = [region >>> 3, isWhole ? ONES : 1 << (region & 7)];
      if ((this.bits[byte]! & mask) !== 0) this.dirty.add(Math.floor(region / REGIONS_PER_PAGE));
      this.bits[byte] = this.bits[byte]! & ~mask;
      // A cleared bit no longer counts as durable, because a write of its page may reach the disk at any time.
      this.durable[byte] = this.durable[byte]! & ~mask;
      region += isWhole ? REGIONS_PER_BYTE : 1;
    }
  }

  /** Returns at most `maxBytes` bytes of bits, beginning with the byte of region `first`, in the form of `IntentView.read`. */
  read(first: number, maxBytes: number): Buffer {
    const from = Math.floor(first / REGIONS_PER_BYTE);
    const part = Buffer.from(this.bits.subarray(from, from + maxBytes));
    const padding = bytesOf(this.count) * REGIONS_PER_BYTE - this.count;
    if (part.length > 0 && from + part.length === this.bits.length) part[part.length - 1] = part.at(-1)! & (ONES >>> padding);
    return part;
  }

  /** Returns the dirty pages in ascending order, and marks them as clean. The caller must write the returned pages. */
  takeDirty(): number[] {
    const pages = [...this.dirty].toSorted((a, b) => a - b);
    this.dirty.clear();
    return pages;
  }

  /** Marks these pages as dirty, so that they are written again. */
  touch(pages: Iterable<number>): void {
    for (const page of pages) this.dirty.add(page);
  }

  /** Copies a page for a write. The returned bytes do not change until the next copy of the page. */
  copy(page: number): Buffer {
    const [from, to] = [page * MAP_PAGE_BYTES, Math.min(this.bits.length, (page + 1) * MAP_PAGE_BYTES)];
    this.bits.copy(this.copied, from, from, to);
    return this.copied.subarray(from, to);
  }

  /** Records that the last copies of these pages are on disk. */
  synced(pages: readonly number[]): void {
    for (const page of pages) {
      const to = Math.min(this.bits.length, (page + 1) * MAP_PAGE_BYTES);
      for (let byte = page * MAP_PAGE_BYTES; byte < to; byte++) this.durable[byte] = this.copied[byte]! & this.bits[byte]!;
    }
  }

  private setPadding(regions: number): void {
    const used = regions % REGIONS_PER_BYTE;
    const last = this.bits.length - 1;
    if (used !== 0) this.bits[last] = this.bits[last]! | ((ONES << used) & ONES);
  }

  /** Marks the page of this region and all later pages as dirty. */
  touchFrom(region: number): void {
    const pages = Math.ceil(this.bits.length / MAP_PAGE_BYTES);
    for (let page = Math.floor(region / REGIONS_PER_PAGE); page < pages; page++) this.dirty.add(page);
  }
}

/** Returns true if a byte of the map begins with the bit of `region`, and all bits of this byte belong to regions up to `last`. */
function isWholeByte(region: number, last: number): boolean {
  return (region & 7) === 0 && region + REGIONS_PER_BYTE - 1 <= last;
}
