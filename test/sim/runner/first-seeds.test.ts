// Runs the seeds of zoo/tested-seeds.ts in one campaign over all cores. Each test waits for one seed. `npm run sim -- --seed N --trace`
// repeats a failed seed. Invariant: a seed passes only if the simulator has run it to its end without a violation.
// Rules: M13, M16, G1 to G5, G7, G15, G26 to G28. docs/PROTOCOL.md, Encrypted paths.

import { beforeAll, expect, test } from 'vitest';
import { TESTED_SEEDS } from '../zoo/tested-seeds.ts';
import { runSeeds } from './campaign.ts';

/** The outcome of one seed. The violations of a seed are known when the seed is completed. */
class Outcome {
  readonly breaches: Promise<readonly string[]>;
  /** Resolves the outcome; only the first call counts. */
  tell: (breaches: readonly string[]) => void = () => undefined;

  constructor() {
    this.breaches = new Promise((resolve) => {
      this.tell = resolve;
    });
  }
}

const outcomes = new Map([...TESTED_SEEDS].map((seed) => [seed, new Outcome()]));
const deaths: string[] = [];
let campaign = Promise.resolve();

beforeAll(() => {
  campaign = runSeeds(outcomes.keys(), 0, {
    finished: ({ seed, breaches }) => outcomes.get(seed)!.tell(breaches),
    died: (seed, how) => {
      deaths.push(`seed ${seed}: its worker ${how}`);
      outcomes.get(seed)!.tell([`its worker ${how}`]);
    },
  }).then(() => {
    for (const { tell } of outcomes.values()) tell(['it was not run: its worker is dead']);
  });
});

test.each([...TESTED_SEEDS])('seed %i', async (seed) => {
  expect(await outcomes.get(seed)!.breaches, `npm run sim -- --seed ${seed} --trace`).toEqual([]);
});

test('every worker ends in order', async () => {
  await campaign;
  expect(deaths).toEqual([]);
});
