// Quantiles against sorted samples: correct within one bucket.
// The samples come from volume-counters.ts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

const BUCKET_WIDTH = 2 ** (1 / 16);

test('a quantile is that of the samples, rounded up by less than a bucket', () => {
  const samples = fc.array(fc.double({ min: 1, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(samples, fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1), (list, share) => {
      const histogram = new Histogram();
      for (const us of list) histogram.add(us);
      const sorted = [...list].sort((a, b) => a - b);
      const exact = sorted[Math.max(0, Math.ceil(list.length * share - 1e-9) - 1)]!;
      const quantile = histogram.quantileUs(share);
      expect(quantile).toBeGreaterThanOrEqual(Math.min(exact, sorted.at(-1)!) * (1 - 1e-9));
      expect(quantile).toBeLessThanOrEqual(exact * BUCKET_WIDTH * (1 + 1e-9));
    }),
  );
});

test('without samples it is zero, and unusual samples do no harm', () => {
  const histogram = new Histogram();
  expect(histogram.view()).toEqual({ p50Us: 0, p99Us: 0, maxUs: 0 });
  histogram.add(0);
  histogram.add(0.3);
  histogram.add(1e15);
  expect(histogram.view().maxUs).toBe(1e15);
  expect(histogram.quantileUs(0.5)).toBeLessThanOrEqual(BUCKET_WIDTH);
});
