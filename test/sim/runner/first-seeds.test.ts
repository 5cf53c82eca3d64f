// The consecutive seeds of every test run, then the next worlds with mirrors, in campaigns over all cores; each test waits for its part of
// them. A failed seed is repeated with `npm run sim -- --seed N --trace`. The simulator runs and judges a seed.

import { beforeAll, expect, test } from 'vitest';
import { type CampaignEvents, runSeeds } from './campaign.ts';
import { isMirrorSeed } from '../world/sim-shape.ts';
import { LAST_MIRROR_SEED, LAST_SEED } from './last-seed.ts';

const SEEDS_PER_TEST = 25;
const LOTS = Array.from({ length: LAST_SEED / SEEDS_PER_TEST }, (_unused, lot) => [lot * SEEDS_PER_TEST + 1, (lot + 1) * SEEDS_PER_TEST]);

/** Of one seed: everything that was not as it must be, when it is through. */
class Outcome {
  readonly breaches: Promise<readonly string[]>;
  /** Only the first word counts. */
  tell: (breaches: readonly string[]) => void = () => undefined;

  constructor() {
    this.breaches = new Promise((resolve) => {
      this.tell = resolve;
    });
  }
}

const outcomes = Array.from({ length: LAST_MIRROR_SEED }, () => new Outcome());
const MIRROR_SEEDS = [...outcomes.keys()].map((at) => at + 1).filter(isMirrorSeed);
const deaths: string[] = [];
let campaign = Promise.resolve();

beforeAll(() => {
  const events: CampaignEvents = {
    finished: ({ seed, breaches }) => outcomes[seed - 1]!.tell(breaches),
    died: (seed, how) => {
      deaths.push(`seed ${seed}: its worker ${how}`);
      outcomes[seed - 1]?.tell([`its worker ${how}`]);
    },
  };
  const all = async (): Promise<void> => {
    await runSeeds(1, LAST_SEED, 0, events);
    await runSeeds(LAST_SEED + 1, LAST_MIRROR_SEED, 0, events, true);
  };
  campaign = all().then(() => {
    for (const { tell } of outcomes) tell(['it was not run: its worker is dead']);
  });
});

test.each(LOTS)('seeds %i to %i', async (first, last) => {
  expect(await foundIn(Array.from({ length: last! - first! + 1 }, (_unused, at) => first! + at))).toEqual([]);
});

test('worlds with mirrors', async () => {
  expect(MIRROR_SEEDS.length).toBeGreaterThan(10);
  expect(await foundIn(MIRROR_SEEDS)).toEqual([]);
});

async function foundIn(seeds: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const seed of seeds)
    for (const breach of await outcomes[seed - 1]!.breaches) found.push(`${breach} (pnpm sim --seed ${seed} --trace)`);
  return found;
}

test('every worker ends in order', async () => {
  await campaign;
  expect(deaths).toEqual([]);
});
