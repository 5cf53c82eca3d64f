// One seed, from its beginning to its judgement. sim-world.ts defines what a seed is; the callers choose seeds. Invariant: the same seed
// gives the same digest, on every machine, traced or not.

import { SimWorld } from '../world/sim-world.ts';

export interface SeedCounts {
  readonly ios: number;
  /** Of them: outcome unknown. */
  readonly abandoned: number;
  readonly detached: number;
  /** Volumes that changed hands against their holder's will, and how often a user learned that. */
  readonly takeOvers: number;
  readonly losses: number;
  readonly pathFailures: number;
  readonly processCrashes: number;
  readonly listenerCrashes: number;
  readonly machineCrashes: number;
  readonly clientCrashes: number;
  readonly pauses: number;
  /** Failed write-backs of storage, their losses, and new incarnations of storage because a sync has failed. */
  readonly writeBackErrors: number;
  readonly sectorsForgotten: number;
  readonly lostIncarnations: number;
  /** Logs that were sent to a new incarnation, faults during that, and other combinations aimed at durability. */
  readonly recoveries: number;
  readonly replayFaults: number;
  readonly doubleCrashes: number;
  readonly crashTakeOvers: number;
  readonly faults: number;
  /** Orders for volumes of pools that were answered. */
  readonly poolOrders: number;
  /** Orders for snapshots and moves that were answered, on simulated file systems. */
  readonly storeOrders: number;
  /** Snapshots that were taken, and those that were refused. */
  readonly snapshots: number;
  readonly snapshotsRefused: number;
  /** Claims of mirrors that were held until their end. */
  readonly claims: number;
  /** I/Os of the users of mirrors that were completed, and judged by the oracle of the mirror. */
  readonly mirrorIos: number;
  /** Replicas that had not returned at the end. */
  readonly lateReplicas: number;
  /** Disks of replicas that were lost. */
  readonly disksLost: number;
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
  /** Whether it is broken is all that is asked: the seed ends when that is known. */
  readonly isHunt?: boolean;
}

/** Refusals are errors too, and frequent here. Their stacks are kept only when a seed is rerun for people. */
const STACK_FRAMES_TRACED = 10;

/** Runs a seed. One at a time in a program. A failed assertion of the production code is a breach too. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const world = new SimWorld(seed, options.trace ?? null);
  let breaches: string[];
  const frames = Error.stackTraceLimit;
  Error.stackTraceLimit = options.trace === undefined ? 0 : STACK_FRAMES_TRACED;
  try {
    breaches = await world.run(options.isHunt ?? false);
  } catch (error) {
    breaches = [`${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  } finally {
    Error.stackTraceLimit = frames;
  }
  const { clock, faults, users, volumes, trace } = world;
  const counts: SeedCounts = {
    ...faults.counts,
    ios: users.reduce((sum, user) => sum + user.completed, 0),
    abandoned: users.reduce((sum, user) => sum + user.abandoned, 0),
    detached: world.clients.reduce((sum, client) => sum + client.detached, 0),
    takeOvers: world.volumes.reduce((sum, { judge }) => sum + judge.takeOvers, 0),
    losses: users.reduce((sum, user) => sum + user.losses, 0),
    pathFailures: world.pathFailures,
    writeBackErrors: volumes.reduce((sum, { storage }) => sum + storage.writeBackErrors, 0),
    sectorsForgotten: volumes.reduce((sum, { storage }) => sum + storage.sectorsForgotten, 0),
    lostIncarnations: volumes.reduce((sum, { lostIncarnations }) => sum + lostIncarnations, 0),
    recoveries: volumes.reduce((sum, { recoveries }) => sum + recoveries, 0),
    poolOrders: world.pools?.done ?? 0,
    storeOrders: world.stores?.done ?? 0,
    snapshots: world.snapshots?.taken ?? 0,
    snapshotsRefused: world.snapshots?.refused ?? 0,
    claims: world.mirrors?.done ?? 0,
    mirrorIos: world.mirrors?.mirror.completed ?? 0,
    lateReplicas: world.mirrors?.mirror.late ?? 0,
    disksLost: world.mirrors?.mirror.disksLost ?? 0,
    events: clock.events,
    simulatedMs: Math.round(clock.monotonicMs()),
  };
  return { seed, breaches, counts, digest: trace.digest };
}
