// Tests pieces that no replica in sync can read. While nothing else is left to copy, the copier waits longer after each attempt.
// The copier forgets an unreadable piece only when the whole piece is copied. piece-run.ts finds out that a piece is unreadable.

import { expect, test } from 'vitest';
import { COPY_RETRY_MAX_MS, COPY_RETRY_MS, UNREADABLE_MAX } from '../limits.ts';
import { Unreadable } from './unreadable.ts';

const piece = (region: number, begin = 0, end = 8) => ({ region, beginBytes: region * 100 + begin, endBytes: region * 100 + end });

test('the wait doubles up to a bound while nothing else is copied', () => {
  const unreadable = new Unreadable();
  const waits = Array.from({ length: 8 }, () => unreadable.failed(piece(3)));
  expect(waits.slice(0, 3)).toEqual([COPY_RETRY_MS, 2 * COPY_RETRY_MS, 4 * COPY_RETRY_MS]);
  expect(waits.at(-1)).toBe(COPY_RETRY_MAX_MS);
});

test('it is short while other regions are copied', () => {
  const unreadable = new Unreadable();
  for (let times = 0; times < 5; times++) unreadable.failed(piece(3));
  unreadable.copied(piece(4));
  expect(unreadable.failed(piece(3))).toBe(COPY_RETRY_MS);
  // Copying other pieces of the same region does not count as progress.
  unreadable.copied(piece(3, 8, 16));
  expect(unreadable.failed(piece(3))).toBeGreaterThan(COPY_RETRY_MS);
});

test('a piece is told until all of it was copied, also in smaller pieces', () => {
  const unreadable = new Unreadable();
  expect(unreadable.first).toBeNull();
  unreadable.failed(piece(3));
  unreadable.copied(piece(3, 0, 4));
  expect(unreadable.first).toMatchObject({ beginBytes: 304, endBytes: 308 });
  unreadable.copied(piece(3, 4, 8));
  expect(unreadable.first).toBeNull();
});

test('no more pieces are remembered than the bound', () => {
  const unreadable = new Unreadable();
  for (let region = 0; region < UNREADABLE_MAX + 10; region++) unreadable.failed(piece(region));
  for (let region = 0; region < UNREADABLE_MAX; region++) unreadable.copied(piece(region));
  expect(unreadable.first).toBeNull();
});
