// Checks steps and quantiles of latencies, by rules and by hand-made counts.
// native-load.test.ts shows that the generator in C counts in the same steps.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Latencies, stepEndNs, stepOf } from './latencies.ts';

test('a duration is below the end of its step, and not below the end of the step before', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (ns) => {
      const step = stepOf(ns);
      expect(ns).toBeLessThan(stepEndNs(step));
      if (step > 0) expect(ns).toBeGreaterThanOrEqual(stepEndNs(step - 1));
    }),
  );
});

test('a step is at most 4 % wide, from 32 ns on', () => {
  for (let step = 32; step < 1200; step++) expect(stepEndNs(step) / stepEndNs(step - 1)).toBeLessThan(1.04);
});

test('quantiles cover everything that was added, in any order', () => {
  const latencies = new Latencies();
  const [fast, slow, slowest] = [1_000, 50_000, 9_000_000].map(stepOf) as [number, number, number];
  latencies.add([
    [slow, 9],
    [fast, 600],
  ]);
  latencies.add([
    [fast, 390],
    [slowest, 1],
  ]);
  expect(latencies.quantileUs(0.5)).toBe(stepEndNs(fast) / 1000);
  expect(latencies.quantileUs(0.99)).toBe(stepEndNs(fast) / 1000);
  expect(latencies.quantileUs(0.995)).toBe(stepEndNs(slow) / 1000);
  expect(latencies.quantileUs(1)).toBe(stepEndNs(slowest) / 1000);
});

test('without a request there is no latency', () => {
  expect(new Latencies().quantileUs(0.5)).toBe(0);
});
