// Tests the map from an offset in the volume to a file and an offset in this file: compares the map with a flat model that distributes the
// bytes one by one. layout-backend.test.ts tests requests on real files.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { EXTENT } from '@rsio/protocol/wire/messages';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergedExtents } from './layout-extents.ts';
import { LayoutMap, type LayoutShape, stripePartBytes } from './layout-map.ts';

const UNITS_MAX = 60;

/** Random layouts. Sizes are whole numbers of units, and a chunk has a few units. */
const shape: fc.Arbitrary<LayoutShape> = fc.oneof(
  fc
    .array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 5 })
    .map((sizes) => ({ chunkBytes: null, parts: sizes.map((sizeBytes) => ({ sizeBytes })) })),
  fc
    .record({ chunk: fc.constantFrom(1, 2, 4), parts: fc.integer({ min: 2, max: 5 }), size: fc.integer({ min: 1, max: UNITS_MAX }) })
    .map(({ chunk, parts, size }) => ({
      chunkBytes: chunk,
      parts: Array.from({ length: parts }, () => ({ sizeBytes: stripePartBytes(size, chunk, parts) })),
    })),
);

/** Returns, for each unit of the volume, the file that has it and its position in this file. */
function dealtOut({ chunkBytes, parts }: LayoutShape): [part: number, position: number][] {
  const places: [number, number][] = [];
  if (chunkBytes === null) {
    for (const [part, { sizeBytes }] of parts.entries()) for (let at = 0; at < sizeBytes; at++) places.push([part, at]);
    return places;
  }
  const next = parts.map(() => 0);
  for (let part = 0; next.some((at, index) => at < parts[index]!.sizeBytes); part = (part + 1) % parts.length)
    for (let at = 0; at < chunkBytes; at++) places.push([part, next[part]!++]);
  return places;
}

const cut = fc.tuple(fc.nat(UNITS_MAX * 2), fc.nat(UNITS_MAX * 2));

test('each byte is where the model puts it, and each file has one contiguous range of every request', () => {
  fc.assert(
    fc.property(shape, cut, (layout, [first, second]) => {
      const map = new LayoutMap(layout);
      const places = dealtOut(layout);
      const begin = Math.min(first, second) % places.length;
      const end = Math.min(places.length, Math.max(begin + 1, first, second));
      const seen = new Map<number, [number, number]>();
      for (const { part, positionBytes, lengthBytes, pieces } of map.split(begin, end - begin)) {
        let at = positionBytes;
        for (let index = 0; index < pieces.length; index += 2)
          for (let unit = 0; unit < pieces[index + 1]!; unit++) seen.set(begin + pieces[index]! + unit, [part, at++]);
        expect(at - positionBytes).toBe(lengthBytes);
        expect([map.bytesBefore(part, begin), map.bytesBefore(part, end)]).toEqual([positionBytes, at]);
      }
      expect([...seen].toSorted(([a], [b]) => a - b)).toEqual(places.slice(begin, end).map((place, index) => [begin + index, place]));
      map.seek(begin);
      expect([map.part, map.partPositionBytes]).toEqual(places[begin]);
      expect(map.volumeOffset(map.part, map.partPositionBytes)).toBe(begin);
    }),
    { numRuns: 500 },
  );
});

test('the files of a volume hold its bytes, and grow with it', () => {
  fc.assert(
    fc.property(shape, fc.nat(UNITS_MAX), (layout, more) => {
      const map = new LayoutMap(layout);
      const sizeBytes = dealtOut(layout).length;
      for (const [part, { sizeBytes: partBytes }] of layout.parts.entries()) expect(map.partBytes(part, sizeBytes)).toBe(partBytes);
      const grown = layout.parts.map((_, part) => map.partBytes(part, sizeBytes + more));
      expect(grown.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(sizeBytes + more);
      for (const [part, bytes] of grown.entries()) {
        expect(bytes).toBeGreaterThanOrEqual(map.bytesBefore(part, sizeBytes + more));
        expect(bytes).toBeGreaterThanOrEqual(layout.parts[part]!.sizeBytes);
      }
      if (layout.chunkBytes !== null) expect(new Set(grown).size).toBe(1);
    }),
  );
});

test('a hole of the volume is a hole of its file, and the extents end where a file says no more', () => {
  const units = { chunkBytes: 8 * SECTOR_BYTES, parts: [{ sizeBytes: 32 * SECTOR_BYTES }, { sizeBytes: 32 * SECTOR_BYTES }] };
  const map = new LayoutMap(units);
  const [data, hole] = [EXTENT.DATA, EXTENT.HOLE];
  // File 0 has 12 sectors of data, then a hole. File 1 has a hole of 20 sectors; the extents behind this hole are unknown.
  const found = [
    [12, data, 20, hole],
    [20, hole],
  ];
  expect(mergedExtents(map, 0, 64 * SECTOR_BYTES, found)).toEqual([8, data, 8, hole, 4, data, 24, hole]);
  const later = [
    [8, data, 20, hole],
    [16, hole],
  ];
  // The range begins in the middle of a chunk of file 0.
  expect(mergedExtents(map, 4 * SECTOR_BYTES, 12 * SECTOR_BYTES, later)).toEqual([4, data, 8, hole]);
});
