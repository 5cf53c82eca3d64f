// The consecutive seeds of every test run, in one campaign over all cores; each test waits for its part of them. A failed seed is repeated
// with `npm run sim -- --seed N --trace`. The simulator runs and judges a seed.

import { beforeAll, expect, test } from 'vitest';
import { runSeeds } from './campaign.ts';
import { LAST_SEED } from './last-seed.ts';

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

const outcomes = Array.from({ length: LAST_SEED }, () => new Outcome());
const deaths: string[] = [];
let campaign = Promise.resolve();

beforeAll(() => {
  campaign = runSeeds(1, LAST_SEED, 0, {
    finished: ({ seed, breaches }) => outcomes[seed - 1]!.tell(breaches),
    died: (seed, how) => {
      deaths.push(`seed ${seed}: its worker ${how}`);
      outcomes[seed - 1]?.tell([`its worker ${how}`]);
    },
  }).then(() => {
    for (const { tell } of outcomes) tell(['it was not run: its worker is dead']);
  });
});

test.each(LOTS)('seeds %i to %i', async (first, last) => {
  const found: string[] = [];
  for (let seed = first!; seed <= last!; seed++)
    for (const breach of await outcomes[seed - 1]!.breaches) found.push(`${breach} (pnpm sim --seed ${seed} --trace)`);
  expect(found).toEqual([]);
});

test('every worker ends in order', async () => {
  await campaign;
  expect(deaths).toEqual([]);
});
