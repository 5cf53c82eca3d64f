// The consecutive seeds that every test run holds, shared out to two files, because each file has a core of its own.
// Leaves how many they are to these files.

import { expect } from 'vitest';
import { runSeed } from './run-seed.ts';

/** Runs the seeds; the first one that fails is shown with what replays it. */
export async function expectSeeds(from: number, to: number): Promise<void> {
  for (let seed = from; seed <= to; seed++) {
    const { breaches } = await runSeed(seed);
    expect({ replay: `pnpm sim --seed ${seed} --trace`, breaches }).toEqual({ replay: `pnpm sim --seed ${seed} --trace`, breaches: [] });
  }
}
