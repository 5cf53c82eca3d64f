// The same seeds of every target run each time, so that a failure repeats; `npm run fuzz` uses other seeds. Enough inputs of each target
// must be deep. fuzz-target.ts explains deep inputs. `fixedSeeds` of a target is the number of its seeds in this test.

import { afterAll, expect, test } from 'vitest';
import { findingOf, findingText, inputOf, tried } from './hunt.ts';
import { removeScratch } from '../fixtures/scratch.ts';
import { TARGETS } from '../targets/target-table.ts';

/** At least this share of the inputs of a target must be deep, because a target with fewer deep inputs tests too little. */
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
