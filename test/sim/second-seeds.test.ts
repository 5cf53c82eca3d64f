// Consecutive seeds of the simulator, second half, and that a seed is one run and no other.
// A seed that fails replays with `pnpm sim --seed N --trace`.

import { expect, test } from 'vitest';
import { runSeed } from './run-seed.ts';
import { expectSeeds } from './seed-range.ts';

test('seeds 151 to 300', { timeout: 300_000 }, () => expectSeeds(151, 300));

test('a seed gives the same digest again, traced or not, and another seed another', async () => {
  const lines: string[] = [];
  const first = await runSeed(7);
  const again = await runSeed(7, { trace: (line) => void lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(first.counts.ios);
  expect((await runSeed(8)).digest).not.toBe(first.digest);
});
