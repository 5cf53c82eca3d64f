// Tests the conversion of byte extents to sectors, with examples and with random layouts (fast-check). The random layouts are compared with
// a map of single bytes. range-file.test.ts uses extents of real files.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { extentPairs } from './range-operations.ts';
import fc from 'fast-check';

const { DATA, HOLE } = EXTENT;

test('whole sectors are unchanged, and equal neighbours are joined', () => {
  expect(extentPairs(1024, 4096, [1024, HOLE, 512, DATA, 512, DATA, 2048, HOLE])).toEqual([2, HOLE, 2, DATA, 4, HOLE]);
});

test('an unknown range counts as data', () => {
  expect(extentPairs(0, 4096, [])).toEqual([8, DATA]);
  expect(extentPairs(0, 4096, [100, HOLE])).toEqual([8, DATA]);
});

test('extents beyond the requested range are cut', () => {
  expect(extentPairs(512, 1024, [100_000, HOLE])).toEqual([2, HOLE]);
});

/** Converts random extents to extents as a file system reports them, without empty extents and without neighbours of the same state. */
function joined(raw: readonly (readonly [number, number])[]): number[] {
  const flat: number[] = [];
  for (const [length, state] of raw) {
    if (length === 0) continue;
    if (flat.at(-1) === state) flat[flat.length - 2] = (flat.at(-2) ?? 0) + length;
    else flat.push(length, state);
  }
  return flat;
}

test('a sector is a hole only if all its bytes are, and the pairs cover the known range without gaps', () => {
  const found = fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.constantFrom(DATA, HOLE)), { maxLength: 12 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 20 }), found, (start, sectors, raw) => {
      const bytes: number[] = raw.flatMap(([length, state]) => Array<number>(length).fill(state)).slice(0, sectors * SECTOR_BYTES);
      const known = Math.floor(bytes.length / SECTOR_BYTES);
      const expected: number[] = [];
      for (let sector = 0; sector < known; sector++) {
        const content = bytes.slice(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
        expected.push(content.every((state) => state === HOLE) ? HOLE : DATA);
      }
      const pairs = extentPairs(start * SECTOR_BYTES, sectors * SECTOR_BYTES, joined(raw));
      const flat: number[] = [];
      for (let index = 0; index < pairs.length; index += 2) {
        expect(pairs[index]).toBeGreaterThan(0);
        if (index > 0) expect(pairs[index + 1]).not.toBe(pairs[index - 1]);
        flat.push(...Array<number>(pairs[index] ?? 0).fill(pairs[index + 1] ?? -1));
      }
      expect(flat).toEqual(known === 0 ? Array<number>(sectors).fill(DATA) : expected);
    }),
  );
});
