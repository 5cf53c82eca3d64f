// The choice of a path, from pictures.
// Leaves counting what is unanswered to the paths.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choosePath, type PathPicture } from './scheduler.ts';

function path(number: number, fields: Partial<PathPicture> = {}): PathPicture {
  return { number, suspect: false, unansweredBytes: 0, queuedBytes: 0, ...fields };
}

function choose(paths: readonly PathPicture[], carried: readonly number[] = []): number | null {
  return choosePath(paths, carried, 1000)?.number ?? null;
}

test('the fewest bytes unanswered, the first among equals', () => {
  expect(choose([path(1, { unansweredBytes: 5 }), path(2, { unansweredBytes: 3 }), path(3, { unansweredBytes: 3 })])).toBe(2);
  expect(choose([])).toBeNull();
});

test('not one that carries a copy, nor one whose output is full', () => {
  expect(choose([path(1), path(2, { unansweredBytes: 9 })], [1])).toBe(2);
  expect(choose([path(1, { queuedBytes: 1001 }), path(2, { unansweredBytes: 9, queuedBytes: 1000 })])).toBe(2);
  expect(choose([path(1)], [1])).toBeNull();
});

test('a suspect one only when there is no other', () => {
  expect(choose([path(1, { suspect: true }), path(2, { unansweredBytes: 9 })])).toBe(2);
  expect(choose([path(1, { suspect: true, unansweredBytes: 9 }), path(2, { suspect: true })])).toBe(2);
});

// Once new requests went to the silent path as soon as the good one's output was full, and waited there until it died.
test('a suspect one is not taken because the good one is full', () => {
  expect(choose([path(1, { suspect: true }), path(2, { queuedBytes: 1001 })])).toBeNull();
  expect(choose([path(1, { suspect: true }), path(2)], [2])).toBeNull();
});

test('what is chosen may always be used', () => {
  const picture = fc.record({ number: fc.nat(8), suspect: fc.boolean(), unansweredBytes: fc.nat(5), queuedBytes: fc.nat(2000) });
  fc.assert(
    fc.property(fc.uniqueArray(picture, { selector: ({ number }) => number }), fc.array(fc.nat(8)), (paths, carried) => {
      const chosen = choosePath(paths, carried, 1000);
      if (chosen === null) return;
      expect(carried).not.toContain(chosen.number);
      expect(chosen.queuedBytes).toBeLessThanOrEqual(1000);
      if (chosen.suspect) expect(paths.every(({ suspect }) => suspect)).toBe(true);
    }),
  );
});
