// The seeds of every test run: the first ones, those at which the quick zoo begins, and the first worlds with mirrors. first-seeds.test.ts
// runs them with the unbroken code. It is a file of its own so that the zoo's test knows which seeds need no other run.
// Invariant: each seed that is known to find a mutant is among them.

import { isMirrorSeed } from '../world/sim-shape.ts';
import { FINDER_SEEDS } from './found-at.ts';

/** Seeds of each kind, which `npm run sim` runs without end. */
const FIRST_SEEDS = 24;
const MIRROR_WORLDS = 8;

function firstMirrorWorlds(): number[] {
  const found: number[] = [];
  for (let seed = 1; found.length < MIRROR_WORLDS; seed++) if (isMirrorSeed(seed)) found.push(seed);
  return found;
}

/** Ascending. */
export const TESTED_SEEDS: ReadonlySet<number> = new Set(
  [...Array.from({ length: FIRST_SEEDS }, (_unused, at) => at + 1), ...FINDER_SEEDS, ...firstMirrorWorlds()].toSorted((a, b) => a - b),
);
