// That a seed is one run and no other: the same digest each time, traced or not.
// Leaves what seeds show to first-seeds.test.ts.

import { expect, test } from 'vitest';
import { runSeed } from './run-seed.ts';

test('a seed gives the same digest again, traced or not, and another seed another', async () => {
  const lines: string[] = [];
  const first = await runSeed(7);
  const again = await runSeed(7, { trace: (line) => void lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(first.counts.ios);
  expect((await runSeed(8)).digest).not.toBe(first.digest);
});
