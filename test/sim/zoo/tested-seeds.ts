// The seeds that every test run tries with the unbroken code (first-seeds.test.ts): the first seeds, the seeds at which the quick zoo
// begins, and the first worlds with mirrors. The list is a separate file, so that zoo.test.ts can skip these seeds. Invariant: the list has
// each seed in found-at.ts.

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
