// Tests asynchronous calls that must not overlap.
// Invariant: each call begins when the previous call has ended, with or without success.

import { expect, test } from 'vitest';
import { OneByOne } from './one-by-one.ts';

test('works run in the order of the calls, also after one that fails', async () => {
  const works = new OneByOne();
  const seen: string[] = [];
  const work = (name: string, ms: number) => async (): Promise<string> => {
    seen.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, ms));
    seen.push(`${name} ends`);
    if (name === 'b') throw new Error('b fails');
    return name;
  };
  const all = await Promise.allSettled([works.run(work('a', 5)), works.run(work('b', 2)), works.run(work('c', 0))]);
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(all.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))).toEqual(['a', 'Error: b fails', 'c']);
});
