// The intent map of a replica: one bit for each region of the volume, and which of the bits are certainly on the disk. Pure: map-writer.ts
// writes pages. Invariants: a bit counts as durable only if a sync that began after the bit was written has succeeded, and the bit was not
// cleared since; the bits behind the last region are ones, so that a region that is added later begins as one.

import { MAP_PAGE_BYTES } from './limits.ts';

const REGIONS_PER_BYTE = 8;
const REGIONS_PER_PAGE = MAP_PAGE_BYTES * REGIONS_PER_BYTE;
const ONES = 0xff;

/** Bytes of the bits of so many regions. */
export function bytesOf(regions: number): number {
  return Math.ceil(regions / REGIONS_PER_BYTE);
}

export class IntentMap {
  private count: number;
  /** What is set now. */
  private bits: Buffer;
  /** What was set when its page was last copied to be written. */
  private copied: Buffer;
  /** What is certainly set on the disk, too. Always a part of `bits`. */
  private durable: Buffer;
  /** Pages that differ from the file, or may. */
  private readonly dirty = new Set<number>();

  /** `bits`: as read from the file. What it does not have is set. Nothing counts as durable: see map-writer.ts. */
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

  /** Adds regions, which are set. Does nothing if there are as many already. */
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

  /** Returns true if the bits of all these regions are certainly on the disk. `last` is one of them. */
  isDurable(first: number, last: number): boolean {
    let region = first;
    while (region <= last) {
      const byte = this.durable[region >>> 3] ?? 0;
      if (isWholeByte(region, last) ? byte !== ONES : (byte & (1 << (region & 7))) === 0) return false;
      region += isWholeByte(region, last) ? REGIONS_PER_BYTE : 1;
    }
    return true;
  }

  /** Sets the bits of these regions, and sees to it that the pages of those that are not durable are written. */
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

  /** Clears the bits of `count` regions. Regions beyond the last one are ignored. */
  clear(first: number, count: number): void {
    const last = Math.min(this.count, first + count) - 1;
    let region = first;
    while (region <= last) {
      const isWhole = isWholeByte(region, last);
      const [byte, mask] = [region >>> 3, isWhole ? ONES : 1 << (region & 7)];
      if ((this.bits[byte]! & mask) !== 0) this.dirty.add(Math.floor(region / REGIONS_PER_PAGE));
      this.bits[byte] = this.bits[byte]! & ~mask;
      // From now on, the file may have the bits or not.
      this.durable[byte] = this.durable[byte]! & ~mask;
      region += isWhole ? REGIONS_PER_BYTE : 1;
    }
  }

  /** Returns bits as `IntentView.read` does. */
  read(first: number, maxBytes: number): Buffer {
    const from = Math.floor(first / REGIONS_PER_BYTE);
    const part = Buffer.from(this.bits.subarray(from, from + maxBytes));
    const padding = bytesOf(this.count) * REGIONS_PER_BYTE - this.count;
    if (part.length > 0 && from + part.length === this.bits.length) part[part.length - 1] = part.at(-1)! & (ONES >>> padding);
    return part;
  }

  /** Takes the pages that are to be written, the first ones first. */
  takeDirty(): number[] {
    const pages = [...this.dirty].toSorted((a, b) => a - b);
    this.dirty.clear();
    return pages;
  }

  /** These pages may not be in the file as they are here. */
  touch(pages: Iterable<number>): void {
    for (const page of pages) this.dirty.add(page);
  }

  /** Copies a page. The result is what is to be written; it stays as it is until the page is copied again. */
  copy(page: number): Buffer {
    const [from, to] = [page * MAP_PAGE_BYTES, Math.min(this.bits.length, (page + 1) * MAP_PAGE_BYTES)];
    this.bits.copy(this.copied, from, from, to);
    return this.copied.subarray(from, to);
  }

  /** These pages, as they were copied last, are on the disk. */
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

  /** The pages from that of this region on may not be in the file as they are here. */
  touchFrom(region: number): void {
    const pages = Math.ceil(this.bits.length / MAP_PAGE_BYTES);
    for (let page = Math.floor(region / REGIONS_PER_PAGE); page < pages; page++) this.dirty.add(page);
  }
}

/** Returns true if all regions of the byte that begins with this region are in a range. */
function isWholeByte(region: number, last: number): boolean {
  return (region & 7) === 0 && region + REGIONS_PER_BYTE - 1 <= last;
}
