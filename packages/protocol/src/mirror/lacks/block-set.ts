// A set of blocks of a volume, made of whole regions and of parts of other regions. A part is an array of bits, one for each block of its
// region. Invariants: a region with a part is also in `regions`. An array of bits never changes after it was added.

import { MIRROR_REGION_BYTES } from '../../wire/limits.ts';
import { bitsIn, RegionSet } from '../region-set.ts';
import { LACK_BLOCK_BYTES, LACK_BLOCKS } from '../limits.ts';

/** One bit for each block of a region, `whole` for all blocks, or null for no block. */
export type Blocks = Uint32Array | 'whole' | null;

export class BlockSet {
  /** Regions of which the set has at least one block. */
  readonly regions = new RegionSet();
  private readonly parts = new Map<number, Uint32Array>();

  blocksOf(region: number): Blocks {
    return this.regions.has(region) ? (this.parts.get(region) ?? 'whole') : null;
  }

  add(region: number, blocks: Blocks): void {
    const all = union(this.blocksOf(region), blocks);
    if (all === null) return;
    this.regions.add(region);
    if (all === 'whole') this.parts.delete(region);
    else this.parts.set(region, all);
  }

  /** Returns how many bytes of a volume of this size the set covers. */
  bytesIn(sizeBytes: number): number {
    let bytes = (this.regions.count - this.parts.size) * MIRROR_REGION_BYTES;
    for (const bits of this.parts.values()) for (const word of bits) bytes += bitsIn(word) * LACK_BLOCK_BYTES;
    return bytes - this.bytesBeyond(sizeBytes);
  }

  /** Returns how many bytes the set covers beyond the end of the volume, in the volume's last region. */
  private bytesBeyond(sizeBytes: number): number {
    const last = Math.floor(sizeBytes / MIRROR_REGION_BYTES);
    const blocks = this.blocksOf(last);
    const insideBytes = sizeBytes - last * MIRROR_REGION_BYTES;
    if (blocks === null) return 0;
    if (blocks === 'whole') return MIRROR_REGION_BYTES - insideBytes;
    let bytes = 0;
    for (let block = Math.floor(insideBytes / LACK_BLOCK_BYTES); block < LACK_BLOCKS; block++) {
      const isSet = ((blocks[block >>> 5]! >>> (block & 31)) & 1) !== 0;
      if (isSet) bytes += LACK_BLOCK_BYTES - Math.max(0, insideBytes - block * LACK_BLOCK_BYTES);
    }
    return bytes;
  }

  remove(region: number): void {
    this.regions.remove(region);
    this.parts.delete(region);
  }

  clone(): BlockSet {
    const copy = new BlockSet();
    copy.regions.addAll(this.regions);
    for (const [region, bits] of this.parts) copy.parts.set(region, bits);
    return copy;
  }
}

export function union(one: Blocks, other: Blocks): Blocks {
  if (one === 'whole' || other === 'whole') return 'whole';
  if (one === null || other === null) return one ?? other;
  return one.map((word, index) => word | other[index]!);
}

export function intersection(one: Blocks, other: Blocks): Blocks {
  if (one === null || other === null) return null;
  if (one === 'whole' || other === 'whole') return one === 'whole' ? other : one;
  const both = one.map((word, index) => word & other[index]!);
  return both.some((word) => word !== 0) ? both : null;
}
