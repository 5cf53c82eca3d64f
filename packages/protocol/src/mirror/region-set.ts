// A set of regions of a volume, with one bit for each region. The set also counts its members. The memory of the set grows with the largest
// region that was added. Positions are in bytes; a range touches each region with which it shares at least one byte.

import { counted } from '@rsio/base/lib/assert';
import { MIRROR_REGION_BYTES } from '../wire/limits.ts';

const WORD_BITS = 32;
const FIRST_WORDS = 32;

export class RegionSet {
  private words = new Uint32Array(FIRST_WORDS);
  private members = 0;
  /**
   * A second set. Each region that is added to this set is also added to the watcher, even if this set already has the region. The watcher
   * therefore shows the owner which regions were added recently.
   */
  watcher: RegionSet | null = null;

  get count(): number {
    return this.members;
  }

  has(region: number): boolean {
    const word = region >>> 5;
    return word < this.words.length && ((this.words[word]! >>> (region & 31)) & 1) !== 0;
  }

  add(region: number): void {
    this.watcher?.add(region);
    if (this.has(region)) return;
    const word = region >>> 5;
    if (word >= this.words.length) this.growTo(word + 1);
    this.words[word]! |= 1 << (region & 31);
    this.members++;
  }

  remove(region: number): void {
    if (!this.has(region)) return;
    this.words[region >>> 5]! &= ~(1 << (region & 31));
    this.members = counted(this.members - 1, 'regions of a set');
  }

  clear(): void {
    this.words.fill(0);
    this.members = 0;
  }

  addRange(beginBytes: number, endBytes: number): void {
    if (endBytes <= beginBytes) return;
    const end = Math.ceil(endBytes / MIRROR_REGION_BYTES);
    for (let region = Math.floor(beginBytes / MIRROR_REGION_BYTES); region < end; region++) this.add(region);
  }

  /** Adds the regions whose bits are set. Bit i of byte j stands for region `first` + 8j + i; bit 0 is the lowest one. */
  addBits(first: number, bits: Buffer): void {
    for (let index = 0; index < bits.length; index++) {
      for (let byte = bits[index]!, bit = 0; byte !== 0; byte >>>= 1, bit++) if ((byte & 1) !== 0) this.add(first + index * 8 + bit);
    }
  }

  addAll(other: RegionSet): void {
    this.watcher?.addAll(other);
    if (other.words.length > this.words.length) this.growTo(other.words.length);
    for (let word = 0; word < other.words.length; word++) this.setWord(word, this.words[word]! | other.words[word]!);
  }

  /** Adds the regions from 0 to `regions` - 1. */
  addFirst(regions: number): void {
    this.watcher?.addFirst(regions);
    const full = regions >>> 5;
    if (full + 1 > this.words.length) this.growTo(full + 1);
    for (let word = 0; word < full; word++) this.setWord(word, 0xffffffff);
    for (let region = full * WORD_BITS; region < regions; region++) this.add(region);
  }

  /** Removes every region that none of the other sets has. */
  keepOnly(others: readonly RegionSet[]): void {
    for (let word = 0; word < this.words.length; word++) {
      let kept = 0;
      for (const other of others) kept |= other.words[word] ?? 0;
      this.setWord(word, this.words[word]! & kept);
    }
  }

  /** True if the range touches at least one region of the set. */
  hasAny(beginBytes: number, endBytes: number): boolean {
    return this.members > 0 && this.firstIn(beginBytes, endBytes) >= 0;
  }

  /** Returns the first region of the set that the range touches; -1 if the range touches no region of the set. */
  firstIn(beginBytes: number, endBytes: number): number {
    if (endBytes <= beginBytes) return -1;
    const region = this.firstFrom(Math.floor(beginBytes / MIRROR_REGION_BYTES));
    return region * MIRROR_REGION_BYTES < endBytes ? region : -1;
  }

  /** Returns the first region of the set from `from` on; -1 if the set has no such region. */
  firstFrom(from: number): number {
    if (this.members === 0) return -1;
    let word = from >>> 5;
    if (word >= this.words.length) return -1;
    let bits = this.words[word]! & (-1 << (from & 31));
    while (bits === 0) {
      if (++word >= this.words.length) return -1;
      bits = this.words[word]!;
    }
    return word * WORD_BITS + (31 - Math.clz32(bits & -bits));
  }

  /** Returns the first region from `from` on that is in this set and not in `other`; -1 if there is no such region. */
  firstFromOutside(from: number, other: RegionSet): number {
    let mask = -1 << (from & 31);
    for (let word = from >>> 5; word < this.words.length; word++) {
      const bits = this.words[word]! & ~(other.words[word] ?? 0) & mask;
      if (bits !== 0) return word * WORD_BITS + (31 - Math.clz32(bits & -bits));
      mask = -1;
    }
    return -1;
  }

  /** Returns the first region from `from` on that is not in the set. */
  firstAbsentFrom(from: number): number {
    let word = from >>> 5;
    if (word >= this.words.length) return from;
    let bits = ~this.words[word]! & (-1 << (from & 31));
    while (bits === 0) {
      if (++word >= this.words.length) return word * WORD_BITS;
      bits = ~this.words[word]!;
    }
    return word * WORD_BITS + (31 - Math.clz32(bits & -bits));
  }

  private setWord(word: number, bits: number): void {
    this.members = counted(this.members + bitsIn(bits) - bitsIn(this.words[word]!), 'regions of a set');
    this.words[word] = bits;
  }

  private growTo(words: number): void {
    const larger = new Uint32Array(Math.max(words, this.words.length * 2));
    larger.set(this.words);
    this.words = larger;
  }
}

export function regionsOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / MIRROR_REGION_BYTES);
}

/** Returns the number of set bits in a word of 32 bits. */
export function bitsIn(word: number): number {
  let pairs = word - ((word >>> 1) & 0x55555555);
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
