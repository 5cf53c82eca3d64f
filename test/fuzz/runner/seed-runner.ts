// A process of a campaign: runs every n-th seed of one target until its time is over or it has a finding, and reports the result. The
// arguments of the process are the slice, and a file in which it notes each seed before it runs the seed. campaign.ts adds the results up.

import { openSync, writeSync } from 'node:fs';
import { systemClock } from '@rsio/base/lib/clock';
import { type FuzzFinding, findingOf, inputOf, tried } from './hunt.ts';
import { type Slice, type SliceResult, seedBytes } from './slice.ts';
import { TARGETS } from '../targets/target-table.ts';

const MS_PER_SECOND = 1000;

async function runSeeds({ target: name, from, stride, forMs }: Slice, notes: number): Promise<SliceResult> {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`There is no target ${name}`);
  const endMs = systemClock.monotonicMs() + forMs - process.uptime() * MS_PER_SECOND;
  let [seed, cases, deep] = [from, 0, 0];
  let finding: FuzzFinding | null = null;
  for (; finding === null && (cases === 0 || systemClock.monotonicMs() < endMs); seed += stride) {
    writeSync(notes, seedBytes(seed), 0, 8, 0);
    const { thrown, isDeep } = await tried(target, inputOf(target, seed));
    cases++;
    if (isDeep) deep++;
    if (thrown !== null) finding = await findingOf(target, seed, thrown);
  }
  return { cases, deep, nextSeed: seed, finding };
}

process.once('disconnect', () => process.exit(1));
const [slice = '', noted = ''] = process.argv.slice(2);
const result = await runSeeds(JSON.parse(slice) as Slice, openSync(noted, 'r+'));
process.send?.(result, () => process.exit(0));
