// Chooses the worlds of a mirror's data path by seed: number of replicas, faults, and duration. mirror-world.ts implements a world. The
// unit tests run the first worlds, and the zoo (test/sim/zoo) checks that these worlds detect mutants.

import { MirrorWorld, type WorldFaults } from './mirror-world.ts';

const STEPS = 250;
const MOMENT_STEPS = 500;

function faultsOf(seed: number): WorldFaults {
  return {
    replicas: seed % 3 === 0 ? 3 : 2,
    isUnclean: seed % 4 === 0,
    mayTakeOver: seed % 2 === 0,
    mayAbandon: seed % 5 === 0,
    areReadsLocal: false,
    hasMoments: false,
  };
}

/**
 * Runs the world with this seed, with snapshots (M22). Returns the first violated rule; null if no rule was violated. `taken` is called
 * with the number of proven snapshots.
 */
export async function momentViolationOf(seed: number, taken: (snapshots: number) => void): Promise<string | null> {
  const world = new MirrorWorld(seed, { ...faultsOf(seed), hasMoments: true });
  const [first] = await world.run(MOMENT_STEPS);
  taken(world.snapshots);
  return first === undefined ? null : `seed ${seed}: ${first}`;
}

/** Runs the world with this seed. Returns the first violated rule; null if no rule was violated. */
export async function violationOf(seed: number): Promise<string | null> {
  const [first] = await new MirrorWorld(seed, faultsOf(seed)).run(STEPS);
  return first === undefined ? null : `seed ${seed}: ${first}`;
}
