// Compares the differences between two files, as found from their extents, with a model in which files consist of blocks. The division into
// extents and the start of the comparison are random. test/integration/snapshot-diff.test.ts compares real files on XFS with their
// contents. Rules: N5, G27.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MappedExtent } from '../../pools/disk/data-file.ts';
import { CHANGED, changedPairs, inSectors, UNCHANGED } from './changed-ranges.ts';

const BLOCK = 4_096;
const [UNWRITTEN, SHARED, DELALLOC, ENCODED, INLINE, LAST] = [0x800, 0x2000, 0x4, 0x8, 0x200, 0x1];
/** Flags of extents whose physical address says nothing about the content. */
const DOUBTFUL = [0x2, DELALLOC, ENCODED, 0x80, 0x100, INLINE, 0x400, 0x1000, 0x4000, 0x80000000];

/** A block of a file: null for a hole, else the number of the block on the storage. */
interface Block {
  readonly place: number | null;
  readonly flags: number;
  /** True if an extent ends after this block, even if the next block would continue it. */
  readonly isCut: boolean;
}

const block: fc.Arbitrary<Block> = fc.record({
  place: fc.option(fc.integer({ min: 1, max: 12 }), { nil: null }),
  flags: fc.oneof(fc.constant(SHARED), fc.constant(SHARED), fc.constantFrom(0, UNWRITTEN, ...DOUBTFUL.map((flag) => flag | SHARED))),
  isCut: fc.boolean(),
});

function extentsOf(file: readonly Block[]): MappedExtent[] {
  const extents: MappedExtent[] = [];
  let open: MappedExtent | null = null;
  file.forEach(({ place, flags, isCut }, index) => {
    const continues = open !== null && place !== null && open.flags === flags && open.physicalBytes + open.lengthBytes === place * BLOCK;
    if (continues && open !== null) open = { ...open, lengthBytes: open.lengthBytes + BLOCK };
    else {
      if (open !== null) extents.push(open);
      open = place === null ? null : { offsetBytes: index * BLOCK, lengthBytes: BLOCK, physicalBytes: place * BLOCK, flags };
    }
    if (isCut && open !== null) {
      extents.push(open);
      open = null;
    }
  });
  if (open !== null) extents.push(open);
  return extents.map((extent, index) => (index === extents.length - 1 ? { ...extent, flags: extent.flags | LAST } : extent));
}

const isZero = (one: Block | undefined): boolean => one === undefined || one.place === null || one.flags === UNWRITTEN;

function isUnchanged(a: Block | undefined, b: Block | undefined): boolean {
  if (isZero(a) && isZero(b)) return true;
  return a?.flags === SHARED && b?.flags === SHARED && a.place === b.place;
}

function stateAt(pairs: readonly number[], position: number): number | undefined {
  let end = 0;
  for (let index = 0; index < pairs.length; index += 2) {
    end += pairs[index]!;
    if (position < end) return pairs[index + 1];
  }
  return undefined;
}

test('every byte that has changed, or may have, is said to have changed, and what is shared or zero in both is not', () => {
  const file = fc.array(block, { maxLength: 24 });
  const property = fc.property(file, file, fc.nat(24 * BLOCK), fc.integer({ min: 1, max: 24 * BLOCK }), (before, after, from, length) => {
    const pairs = changedPairs(extentsOf(before), extentsOf(after), from, from + length);
    expect(pairs.reduce((sum, value, index) => (index % 2 === 0 ? sum + value : sum), 0)).toBe(length);
    for (let index = 3; index < pairs.length; index += 2) expect(pairs[index]).not.toBe(pairs[index - 2]);
    for (let at = from; at < from + length; at = Math.floor(at / BLOCK + 1) * BLOCK) {
      const index = Math.floor(at / BLOCK);
      expect(stateAt(pairs, at - from)).toBe(isUnchanged(before[index], after[index]) ? UNCHANGED : CHANGED);
    }
  });
  fc.assert(property, { numRuns: 500 });
});

test('extents that overlap, have no address or an address beyond the exact numbers are changed', () => {
  const extent = (physicalBytes: number, lengthBytes = BLOCK): MappedExtent => ({
    offsetBytes: 0,
    lengthBytes,
    physicalBytes,
    flags: SHARED,
  });
  expect(changedPairs([extent(BLOCK)], [extent(BLOCK)], 0, BLOCK)).toEqual([BLOCK, UNCHANGED]);
  for (const map of [
    [extent(0)],
    [extent(2 ** 60)],
    [extent(BLOCK), { offsetBytes: 100, lengthBytes: BLOCK, physicalBytes: BLOCK + 100, flags: SHARED }],
  ])
    expect(changedPairs(map, map, 0, BLOCK)).toEqual([BLOCK, CHANGED]);
});

test('a sector with any changed byte has changed', () => {
  expect(inSectors([1024, UNCHANGED, 512, CHANGED, 512, UNCHANGED], 512)).toEqual([2, UNCHANGED, 1, CHANGED, 1, UNCHANGED]);
  expect(inSectors([1000, UNCHANGED, 100, CHANGED, 948, UNCHANGED], 512)).toEqual([1, UNCHANGED, 2, CHANGED, 1, UNCHANGED]);
  expect(inSectors([100, CHANGED, 412, UNCHANGED, 512, CHANGED], 512)).toEqual([2, CHANGED]);
  const runs = fc.array(fc.tuple(fc.integer({ min: 1, max: 2_000 }), fc.constantFrom(UNCHANGED, CHANGED)), { minLength: 1 });
  const property = fc.property(runs, (list) => {
    const bytes = list.reduce((sum, [length]) => sum + length, 0);
    const pairs = [...list.flat(), (512 - (bytes % 512)) % 512, UNCHANGED];
    const sectors = inSectors(pairs, 512);
    let at = 0;
    for (const [length, state] of list) {
      for (const position of [at, at + length - 1])
        if (state === CHANGED) expect(stateAt(sectors, Math.floor(position / 512))).toBe(CHANGED);
      at += length;
    }
  });
  fc.assert(property);
});
