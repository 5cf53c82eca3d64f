// Runs one seed and judges it. sim-world.ts makes the world of a seed; callers choose seeds. Invariant: the same seed gives the same
// digest, on every machine, traced or not.

import { SimWorld } from '../world/sim-world.ts';

export interface MirrorCounts {
  /** Number of claims of mirrors that a client held until the client ended the claim with a clean config. */
  readonly claims: number;
  /** I/Os of the users of mirrors that were completed, and judged by the oracle of the mirror. */
  readonly mirrorIos: number;
  /**
   * `mirrorAttaches`: how often users got a mirror. `mirrorTakeOvers`: how often users got a mirror by force. `mirrorLosses`: how often
   * users noticed the loss of a mirror.
   */
  readonly mirrorAttaches: number;
  readonly mirrorTakeOvers: number;
  readonly mirrorLosses: number;
  /**
   * `replicasLeft`: how often a replica left the set I of replicas in sync. `replicasReturned`: how often a replica returned.
   * `lateReplicas`: how many replicas had not returned when the run ended.
   */
  readonly replicasLeft: number;
  readonly replicasReturned: number;
  readonly lateReplicas: number;
  /** `disksLost`: number of lost disks with a replica. `recordsLost`: how often a witness lost its records. */
  readonly disksLost: number;
  readonly recordsLost: number;
}

export interface SeedCounts extends MirrorCounts {
  readonly ios: number;
  /** Number of I/Os in `ios` whose outcome is unknown. */
  readonly abandoned: number;
  readonly detached: number;
  /** `takeOvers`: number of take-overs of volumes. `losses`: number of take-overs that the losing user noticed. */
  readonly takeOvers: number;
  readonly losses: number;
  readonly pathFailures: number;
  readonly processCrashes: number;
  readonly listenerCrashes: number;
  readonly machineCrashes: number;
  readonly clientCrashes: number;
  readonly pauses: number;
  /**
   * Numbers of failed write-backs, of sectors that these write-backs lost, and of new incarnations of storage that began because a sync
   * failed.
   */
  readonly writeBackErrors: number;
  readonly sectorsForgotten: number;
  readonly lostIncarnations: number;
  /**
   * `recoveries`: logs that were replayed to a new incarnation. `replayFaults`: faults during replays. `doubleCrashes` and `crashTakeOvers`
   * count two other kinds of faults that are aimed at durability.
   */
  readonly recoveries: number;
  readonly replayFaults: number;
  readonly doubleCrashes: number;
  readonly crashTakeOvers: number;
  readonly faults: number;
  /** Orders for volumes of pools that were answered. */
  readonly poolHandlers: number;
  /** Number of answered orders for snapshots and moves in pools on simulated file systems. */
  readonly storeOrders: number;
  /** Number of snapshots that were taken, and number of requests for a snapshot that were refused. */
  readonly snapshots: number;
  readonly snapshotsRefused: number;
  readonly events: number;
  readonly simulatedMs: number;
}

export interface SeedResult {
  readonly seed: number;
  /** All violations; empty if there were none. */
  readonly breaches: readonly string[];
  readonly counts: SeedCounts;
  readonly faults: Readonly<Record<string, number>>;
  readonly digest: string;
}

export interface SeedOptions {
  /** Called with a line for each event. */
  readonly trace?: (line: string) => void;
  /** For a hunt: whether the run ends at its first violation. */
  readonly isHunt?: boolean;
}

/**
 * Number of stack frames that errors keep in traced runs. Other runs keep no frames, because refusals are frequent errors and stacks cost
 * time.
 */
const STACK_FRAMES_TRACED = 10;

/** Runs a seed. A program may run only one seed at a time. A failed assertion of the production code also counts as a breach. */
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
  return { seed, breaches, counts: countsOf(world), faults: world.faults.begun, digest: world.trace.digest };
}

function countsOf(world: SimWorld): SeedCounts {
  const { clients, clock, faults, users, volumes } = world;
  return {
    ...faults.counts,
    ios: sumOf(users, ({ completed }) => completed),
    abandoned: sumOf(users, ({ abandoned }) => abandoned),
    detached: sumOf(clients, ({ detached }) => detached),
    takeOvers: sumOf(volumes, ({ judge }) => judge.takeOvers),
    losses: sumOf(users, ({ losses }) => losses),
    pathFailures: world.pathFailures,
    writeBackErrors: sumOf(volumes, ({ storage }) => storage.writeBackErrors),
    sectorsForgotten: sumOf(volumes, ({ storage }) => storage.sectorsForgotten),
    lostIncarnations: sumOf(volumes, ({ lostIncarnations }) => lostIncarnations),
    recoveries: sumOf(volumes, ({ recoveries }) => recoveries),
    poolHandlers: world.pools?.done ?? 0,
    storeOrders: world.stores?.done ?? 0,
    snapshots: world.snapshots?.taken ?? 0,
    snapshotsRefused: world.snapshots?.refused ?? 0,
    ...mirrorCountsOf(world),
    events: clock.events,
    simulatedMs: Math.round(clock.monotonicMs()),
  };
}

function mirrorCountsOf({ clients, mirrors }: SimWorld): MirrorCounts {
  const mirror = mirrors?.mirror;
  return {
    claims: mirrors?.done ?? 0,
    mirrorIos: mirror?.completed ?? 0,
    mirrorAttaches: mirror?.attaches ?? 0,
    mirrorTakeOvers: mirror?.takeOvers ?? 0,
    mirrorLosses: mirror?.losses ?? 0,
    replicasLeft: sumOf(clients, ({ replicasLeft }) => replicasLeft),
    replicasReturned: sumOf(clients, ({ replicasReturned }) => replicasReturned),
    lateReplicas: mirror?.late ?? 0,
    disksLost: mirror?.disksLost ?? 0,
    recordsLost: mirrors?.recordsLost ?? 0,
  };
}

function sumOf<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((sum, one) => sum + of(one), 0);
}
