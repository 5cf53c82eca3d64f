// One seed, from its beginning to its judgement. Leaves what a seed is to sim-world.ts, and choosing seeds to whoever calls.
// Invariant: the same seed gives the same digest, on every machine, traced or not.

import { SimWorld } from './sim-world.ts';

export interface SeedCounts {
  readonly ios: number;
  /** Of them: outcome unknown. */
  readonly givenUp: number;
  readonly detached: number;
  readonly pathFailures: number;
  readonly processCrashes: number;
  readonly listenerCrashes: number;
  readonly clientCrashes: number;
  readonly pauses: number;
  readonly faults: number;
  readonly events: number;
  /** Simulated time, ms. */
  readonly simulatedMs: number;
}

export interface SeedResult {
  readonly seed: number;
  /** Everything that was not as it must be; empty: all was well. */
  readonly breaches: readonly string[];
  readonly counts: SeedCounts;
  /** Over the whole trace. */
  readonly digest: string;
}

export interface SeedOptions {
  /** Gets a line for each thing that happens. */
  readonly trace?: (line: string) => void;
}

/** Runs a seed. One at a time in a program. A failed assertion of the production code is a breach too. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const world = new SimWorld(seed, options.trace ?? null);
  let breaches: string[];
  try {
    breaches = await world.run();
  } catch (error) {
    breaches = [`${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
  const { clock, faults, users, trace } = world;
  const counts: SeedCounts = {
    ...faults.counts,
    ios: users.reduce((sum, user) => sum + user.completed, 0),
    givenUp: users.reduce((sum, user) => sum + user.givenUp, 0),
    detached: world.clients.reduce((sum, client) => sum + client.detached, 0),
    pathFailures: world.pathFailures,
    events: clock.events,
    simulatedMs: Math.round(clock.monotonicMs()),
  };
  return { seed, breaches, counts, digest: trace.digest };
}
