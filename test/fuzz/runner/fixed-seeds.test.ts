// Runs the fixed seeds of every target, so that a failure repeats; `npm run fuzz` takes other seeds. Also tests that not all inputs of a
// target are refused. The target itself has the number of its seeds.

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
