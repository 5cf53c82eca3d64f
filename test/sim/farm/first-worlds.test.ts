// Runs the first worlds of farms, which `npm run sim -- --farm` runs in greater numbers. `npm run sim -- --farm --seed N --trace` repeats a
// failed one. Invariants: a world passes only if it has run to its end without a violation; the same seed gives the same run, traced or not.
// Rules: F1 to F9.

import { expect, test } from 'vitest';
import { runFarmSeed } from './farm-world.ts';

const WORLDS = 10;

test.each(Array.from({ length: WORLDS }, (_unused, at) => at + 1))('farm %i', async (seed) => {
  expect((await runFarmSeed(seed)).breaches, `npm run sim -- --farm --seed ${seed} --trace`).toEqual([]);
});

test('a seed always gives the same digest, traced or not, and another seed gives another one', async () => {
  const lines: string[] = [];
  const first = await runFarmSeed(5);
  const again = await runFarmSeed(5, { trace: (line) => void lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(first.counts.ios);
  expect((await runFarmSeed(6)).digest).not.toBe(first.digest);
});
