// The seeds of every test run: the first ones, those at which the quick zoo begins, and the first worlds with mirrors. first-seeds.test.ts
// runs them with the unbroken code. It is a separate file, so that the zoo's test knows which seeds need no further run. Invariant: it
// contains each seed that is known to find a mutant.

import { isMirrorSeed } from '../world/sim-shape.ts';
import { FINDER_SEEDS } from './found-at.ts';

/** Number of first seeds of each kind; `npm run sim` runs more. */
const FIRST_SEEDS = 24;
const MIRROR_WORLDS = 8;

function firstMirrorWorlds(): number[] {
  const found: number[] = [];
  for (let seed = 1; found.length < MIRROR_WORLDS; seed++) if (isMirrorSeed(seed)) found.push(seed);
  return found;
}

/** The seeds in ascending order. */
export const TESTED_SEEDS: ReadonlySet<number> = new Set(
  [...Array.from({ length: FIRST_SEEDS }, (_unused, at) => at + 1), ...FINDER_SEEDS, ...firstMirrorWorlds()].toSorted((a, b) => a - b),
);
