// The seeds that every test run tries with the unbroken code (first-seeds.test.ts): the first seeds, the seeds at which the quick zoo
// begins, and the first worlds with mirrors and with data processes. The list is a separate file, so that zoo.test.ts can skip these seeds.
// Invariant: the list has each seed in found-at.ts.

import { isDataProcessSeed, isMirrorSeed, isRevocationSeed } from '../world/sim-shape.ts';
import { FINDER_SEEDS } from './found-at.ts';

/** Number of first seeds of each kind; `npm run sim` runs more. */
const FIRST_SEEDS = 24;
const MIRROR_WORLDS = 8;
const DATA_PROCESS_WORLDS = 3;
const REVOCATION_WORLDS = 2;

function firstWorlds(count: number, isWanted: (seed: number) => boolean): number[] {
  const found: number[] = [];
  for (let seed = 1; found.length < count; seed++) if (isWanted(seed)) found.push(seed);
  return found;
}

/** The seeds in ascending order. */
export const TESTED_SEEDS: ReadonlySet<number> = new Set(
  [
    ...Array.from({ length: FIRST_SEEDS }, (_unused, at) => at + 1),
    ...FINDER_SEEDS,
    ...firstWorlds(MIRROR_WORLDS, isMirrorSeed),
    ...firstWorlds(DATA_PROCESS_WORLDS, isDataProcessSeed),
    ...firstWorlds(REVOCATION_WORLDS, isRevocationSeed),
  ].toSorted((a, b) => a - b),
);
