// Compares quantiles with sorted samples: each quantile is correct within one bucket. The coarse buckets count the samples up to each edge.
// In production, volume-counters.ts supplies the samples.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';
import { LATENCY_BUCKETS, LATENCY_EDGES_US, type LatencyFigures, NO_LATENCY } from './latency-figures.ts';

const BUCKET_WIDTH = 2 ** (1 / 16);
const QUANTILES = { p50Us: 0.5, p90Us: 0.9, p99Us: 0.99, p999Us: 0.999, p9999Us: 0.9999 } as const;

function figuresOf(samples: readonly number[]): LatencyFigures {
  const histogram = new Histogram();
  for (const us of samples) histogram.add(us);
  return histogram.figures();
}

test('a quantile is that of the samples, rounded up by less than a bucket', () => {
  const samples = fc.array(fc.double({ min: 1, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 100 });
  const names = fc.constantFrom(...(Object.keys(QUANTILES) as (keyof typeof QUANTILES)[]));
  fc.assert(
    fc.property(samples, names, (list, name) => {
      const sorted = [...list].sort((a, b) => a - b);
      const exact = sorted[Math.max(0, Math.ceil(list.length * QUANTILES[name] - 1e-9) - 1)]!;
      const quantile = figuresOf(list)[name];
      expect(quantile).toBeGreaterThanOrEqual(Math.min(exact, sorted.at(-1)!) - 0.5);
      expect(quantile).toBeLessThanOrEqual(exact * BUCKET_WIDTH * (1 + 1e-9) + 0.5);
    }),
  );
});

test('without samples it is zero, and unusual samples do no harm', () => {
  expect(new Histogram().figures()).toEqual(NO_LATENCY);
  const { p50Us, maxUs, buckets } = figuresOf([0, 0.3, 1e15]);
  expect([p50Us, maxUs]).toEqual([1, 1e15]);
  expect([buckets[0], buckets.at(-1)]).toEqual([2, 1]);
});

test('each coarse bucket counts the samples between two edges, and the sum is exact', () => {
  const samples = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { maxLength: 100 });
  fc.assert(
    fc.property(samples, (list) => {
      const { buckets, sumUs } = figuresOf(list);
      expect(buckets).toHaveLength(LATENCY_BUCKETS);
      let below = 0;
      for (const [index, edgeUs] of LATENCY_EDGES_US.entries()) {
        below += buckets[index]!;
        expect(below).toBe(list.filter((us) => us < edgeUs).length);
      }
      expect(below + buckets.at(-1)!).toBe(list.length);
      expect(Math.abs(sumUs - list.reduce((sum, us) => sum + us, 0))).toBeLessThanOrEqual(1);
    }),
  );
});

test('the rarest quantile is that of one request in ten thousand', () => {
  const samples = [...new Array<number>(99_980).fill(100), ...new Array<number>(20).fill(50_000)];
  const { p999Us, p9999Us } = figuresOf(samples);
  expect(p999Us).toBeLessThan(110);
  expect(p9999Us).toBe(50_000);
});
