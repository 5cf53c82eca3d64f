// A set of blocks of a volume: whole regions, and parts of others. A part is an array of bits, one for each block of its region.
// Invariant: a region with a part is in `regions`, too. Arrays of bits are never changed after they were added.

import { RegionSet } from '../regions/region-set.ts';

/** One bit for each block of a region, `whole` for all of them, or null for none. */
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
