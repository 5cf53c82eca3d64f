// Compares the changes of a volume of several files, merged from the changes of each file, with a flat model (property test). Incomplete
// answers for a file make the answer for the volume shorter, but never wrong.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LayoutMap, stripePartBytes } from '../../storage/files/layout-map.ts';
import { addPair, type ChangedPairs } from './changed-ranges.ts';
import { answeredEnd, mergedChanges } from './layout-changes.ts';
import { STRIPE_CHUNKS_PER_ANSWER_MAX } from '../limits.ts';

const shape = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
  isStripe: fc.boolean(),
  changed: fc.array(fc.boolean(), { minLength: 150, maxLength: 150 }),
  range: fc.tuple(fc.nat({ max: 150 }), fc.nat({ max: 150 })),
  kept: fc.array(fc.nat({ max: 8 }), { minLength: 4, maxLength: 4 }),
});

test('each byte of the volume has the state of its byte in the file', () => {
  fc.assert(
    fc.property(shape, ({ sizes, isStripe, changed, range, kept }) => {
      const size = sizes.reduce((sum, one) => sum + one, 0);
      const parts = sizes.map((one) => ({ sizeBytes: isStripe ? stripePartBytes(size, 4, sizes.length) : one }));
      const map = new LayoutMap({ chunkBytes: isStripe ? 4 : null, parts });
      const [from, to] = range.map((one) => one % (size + 1)).toSorted((a, b) => a - b) as [number, number];
      const states = parts.map(({ sizeBytes }) => new Array<boolean>(sizeBytes).fill(false));
      for (let offset = 0; offset < size; offset++) {
        map.seek(offset);
        states[map.part]![map.partPositionBytes] = changed[offset]!;
      }
      const cut = new Set<number>();
      const found = parts.map((_part, index) => {
        const pairs: ChangedPairs = [];
        for (let at = map.bytesBefore(index, from); at < map.bytesBefore(index, to); at++) addPair(pairs, 1, states[index]![at] ? 1 : 0);
        // The answer for a file is cut short, but keeps at least one pair, because real answers for a file have at least one pair.
        const some = pairs.slice(0, Math.max(2, 2 * kept[index]!));
        if (some.length < pairs.length) cut.add(index);
        return some;
      });
      const merged = mergedChanges(map, from, to, found);
      let offset = from;
      for (let index = 0; index < merged.length; index += 2)
        for (let count = 0; count < merged[index]!; count++) expect(merged[index + 1] === 1).toBe(changed[offset++]);
      if (cut.size === 0) expect(offset).toBe(to);
      expect(from === to || offset > from).toBe(true);
    }),
    { seed: 3, numRuns: 500 },
  );
});

test('an answer about a stripe of small chunks covers a bounded number of them', () => {
  expect(answeredEnd({ chunkBytes: 4096 }, 512, 2 ** 50)).toBe(512 + STRIPE_CHUNKS_PER_ANSWER_MAX * 4096);
  expect(answeredEnd({ chunkBytes: 4096 }, 512, 8192)).toBe(8192);
  expect(answeredEnd({ chunkBytes: null }, 512, 2 ** 50)).toBe(2 ** 50);
});
