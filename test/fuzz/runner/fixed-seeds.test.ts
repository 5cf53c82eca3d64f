// The seeds of every target that each test run takes: the same ones each time, so that a red run is red again. `pnpm fuzz` takes others.
// Also that a target sees more than refusals. Leaves how many seeds a target has to the target.

import { afterAll, expect, test } from 'vitest';
import { findingOf, findingText, inputOf, tried } from './hunt.ts';
import { removeScratch } from '../fixtures/scratch.ts';
import { TARGETS } from '../targets/target-table.ts';

/** Less than this share of deep inputs makes a target useless. */
const DEEP_SHARE_MIN = 0.1;

afterAll(removeScratch);

test.each(TARGETS)('$name: nothing is found, and inputs are deep: $deep', async (target) => {
  let deep = 0;
  for (let seed = 1; seed <= target.fixedSeeds; seed++) {
    const { thrown, isDeep } = await tried(target, inputOf(target, seed));
    if (thrown !== null) expect.fail(findingText(await findingOf(target, seed, thrown)));
    if (isDeep) deep++;
  }
  expect(deep / target.fixedSeeds).toBeGreaterThan(DEEP_SHARE_MIN);
});
