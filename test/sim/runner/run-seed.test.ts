// A seed always gives the same run: the same digest each time, traced or not.
// first-seeds.test.ts checks the results of seeds.

import { expect, test } from 'vitest';
import { runSeed } from './run-seed.ts';

test('a seed always gives the same digest, traced or not, and another seed gives another one', async () => {
  const lines: string[] = [];
  const first = await runSeed(7);
  const again = await runSeed(7, { trace: (line) => void lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(first.counts.ios);
  expect((await runSeed(8)).digest).not.toBe(first.digest);
});
