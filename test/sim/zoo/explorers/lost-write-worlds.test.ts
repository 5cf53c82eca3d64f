// Runs the first worlds with the unbroken code: machines of a mirror's servers crash, and no holder can send again the writes that they
// lose. zoo.test.ts shows that these worlds find the mutants. Rules: Q10, M7, G33.

import { expect, test } from 'vitest';
import { lostWriteWorld } from './lost-write-worlds.ts';

const SEEDS = 16;

test.each(Array.from({ length: SEEDS }, (_, at) => at + 1))(
  'no answered write that a replica has kept is reverted: world %i',
  async (seed) => {
    expect(await lostWriteWorld(seed)).toBeNull();
  },
);
