// A worker thread of a campaign: runs every n-th seed of one target until its time is over or something is found, and says what it did.
// Leaves the sums to campaign.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '@rsio/protocol/lib/clock';
import { type FuzzFinding, findingOf, inputOf, tried } from './hunt.ts';
import { TARGETS } from './target-table.ts';

export interface Slice {
  readonly target: string;
  readonly from: number;
  readonly stride: number;
  readonly forMs: number;
}

export interface SliceResult {
  readonly cases: number;
  readonly deep: number;
  readonly nextSeed: number;
  readonly finding: FuzzFinding | null;
}

async function runSeeds({ target: name, from, stride, forMs }: Slice, noted: Float64Array): Promise<SliceResult> {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`There is no target ${name}`);
  const endMs = systemClock.monotonicMs() + forMs;
  let [seed, cases, deep] = [from, 0, 0];
  let finding: FuzzFinding | null = null;
  for (; finding === null && systemClock.monotonicMs() < endMs; seed += stride) {
    noted[0] = seed;
    const { thrown, isDeep } = await tried(target, inputOf(target, seed));
    cases++;
    if (isDeep) deep++;
    if (thrown !== null) finding = await findingOf(target, seed, thrown);
  }
  return { cases, deep, nextSeed: seed, finding };
}

const { slice, noted } = workerData as { slice: Slice; noted: SharedArrayBuffer };
parentPort?.postMessage(await runSeeds(slice, new Float64Array(noted)));
process.exit(0);
