// Tests the data path of a mirror in random worlds: replicas crash, lose sessions, refuse, are removed and return, and another client takes
// over the mirror. testing/mirror-world.ts judges every answer. The zoo (test/sim/zoo) shows that these worlds detect broken code.
// Rules: M7 to M10, M14 to M16, G33.

import { expect, test } from 'vitest';
import { violationOf } from '../../testing/mirror-data-worlds.ts';

const WORLDS = 600;

/** Runs the worlds one after another. Returns the first violation or failed assertion; null if every world ends without one. */
async function firstViolation(): Promise<string | null> {
  for (let seed = 1; seed <= WORLDS; seed++) {
    try {
      const found = await violationOf(seed);
      if (found !== null) return found;
    } catch (error) {
      return `seed ${seed}: ${String(error)}`;
    }
  }
  return null;
}

test(`no world of ${WORLDS} finds anything`, async () => {
  expect(await firstViolation()).toBeNull();
});
