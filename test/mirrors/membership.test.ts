// Two clients with the production decider, servers with the production rules of voters, and abstract replicas: random walks with lost and
// late messages, restarts, crashes, lost disks and records, and changes of members, voters and size. No flushed write is lost, no read is
// stale, replicas in sync are equal, and after the faults the mirror can be used. The zoo (test/sim/zoo) finds each planted fault.
// RSIO_MIRROR_WALKS=100000 makes more walks; RSIO_MIRROR_SEED is the seed of the first walk.
// Rules: M3, M5, M6, M8, M11, M12, M15, M17 to M19, M21, G33.

import { expect, test } from 'vitest';
import { DIRECTED } from './directed.ts';
import { ANY, type WalkOptions, World } from './world.ts';

const WALKS = Number(process.env['RSIO_MIRROR_WALKS'] ?? 30);
const DIRECTED_WALKS = 5;
const FIRST = Number(process.env['RSIO_MIRROR_SEED'] ?? 1);

/**
 * Chooses the mirror of a walk: one to three replicas, with a witness, with two voters and no witness, or with a single voter, and one or
 * two blocks.
 */
function optionsOf(seed: number): WalkOptions {
  const [replicas, voters] = (
    [
      [2, 3],
      [3, 3],
      [1, 1],
      [2, 2],
    ] as const
  )[seed % 4] ?? [2, 3];
  return {
    ...ANY,
    replicas,
    voters,
    blocks: 1 + (seed % 2),
    losses: seed % 3 === 0,
    changes: seed % 5 === 0 ? 0 : 3,
    onlyCuts: seed % 7 === 0,
  };
}

test('no walk loses, reverts or hangs', { timeout: 60_000 + WALKS * 1_000 }, () => {
  let reads = 0;
  for (let seed = FIRST; seed < FIRST + WALKS; seed += 1) {
    const world = new World(seed, optionsOf(seed));
    expect(world.walk(), `seed ${seed}`).toBe(null);
    reads += world.history.reads.filter(({ state }) => state === 'answered').length;
  }
  expect(reads).toBeGreaterThan(WALKS);
});

test('a client that may not take the mirror over leaves no promise', () => {
  for (let seed = FIRST; seed < FIRST + WALKS / 2; seed += 1)
    expect(new World(seed, { ...optionsOf(seed), barred: true }).walk(), `seed ${seed}`).toBe(null);
});

test.each(DIRECTED)('directed walks lose, revert and hang as little: $name', ({ options }) => {
  for (let seed = FIRST; seed < FIRST + DIRECTED_WALKS; seed += 1) expect(new World(seed, { ...ANY, ...options }).walk()).toBe(null);
});
