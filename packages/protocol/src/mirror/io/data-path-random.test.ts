// The data path of a mirror in worlds that chance moves: replicas crash, lose sessions, refuse, are removed and return, and another client
// takes the mirror over. Every answer is judged (testing/mirror-world.ts). The zoo (test/sim/zoo) shows
// that broken code is found by the same worlds.

import { expect, test } from 'vitest';
import { violationOf } from '../../testing/mirror-data-worlds.ts';

const WORLDS = 600;

/** Returns the first world that finds something, or whose assertions fail; null if there is none. */
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
}, 60_000);
