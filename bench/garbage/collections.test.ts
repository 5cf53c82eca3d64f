// Computes allocation and pauses from hand-made heap histories. Each run of the bench reads histories of real processes, which their
// probe writes.

import { allocatedBytes, type HeapHistory } from '@rsio/test/support/heap/heap-history';
import { expect, test } from 'vitest';
import { bytesPerRequest, pauseMs } from './collections.ts';

const QUIET: HeapHistory = { beginUsedBytes: 1000, endUsedBytes: 1600, collections: [] };
const BUSY: HeapHistory = {
  beginUsedBytes: 1000,
  endUsedBytes: 900,
  collections: [
    { beforeBytes: 5000, afterBytes: 800, pauseUs: 700 },
    { beforeBytes: 4800, afterBytes: 600, pauseUs: 300 },
  ],
};

test('without a collection the allocation is the growth of the heap', () => {
  expect(allocatedBytes(QUIET)).toBe(600);
});

test('memory freed by collections is counted', () => {
  expect(allocatedBytes(BUSY)).toBe(4000 + 4000 + 300);
});

test('each history is divided by its own requests', () => {
  expect(bytesPerRequest([QUIET, BUSY], [10, 100])).toEqual({ median: (60 + 83) / 2, min: 60, max: 83 });
});

test('of few pauses p99.9 is the longest; without a pause there is none', () => {
  expect(pauseMs([BUSY, QUIET], 999)).toBe(0.7);
  expect(pauseMs([BUSY], 500)).toBe(0.3);
  expect(pauseMs([QUIET], 999)).toBe(0);
});

test('of very many pauses p99.9 omits one in a thousand', () => {
  const collections = Array.from({ length: 2000 }, (_unused, index) => ({ beforeBytes: 0, afterBytes: 0, pauseUs: index + 1 }));
  expect(pauseMs([{ ...QUIET, collections }], 999)).toBe(1.998);
});
