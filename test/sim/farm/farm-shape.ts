// The shape of the world of a farm, drawn from its seed: numbers of machines and I/Os, speeds, and the rate of faults. Invariant:
// everything is drawn here, from one source of randomness. In a dense world, there is much I/O between two faults.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import type { RouteShape } from '../network/sim-network.ts';
import type { BackendShape } from './farm-backend.ts';
import type { FarmUserShape } from './farm-user.ts';
import type { DiskShape } from './shared-disk.ts';

export interface FarmShape {
  readonly servers: number;
  readonly clients: number;
  readonly sectors: number;
  /** Number of interfaces of each server. */
  readonly remotes: number;
  readonly slots: number;
  /** See SharedDiskConfig. */
  readonly takeOverMs: number | null;
  /** I/Os of all users together. */
  readonly ios: number;
  readonly controlMs: number;
  readonly writeBackMs: number;
  /** A fault comes after this many I/Os, or after this time, on average. */
  readonly faultGapIos: number;
  readonly faultGapMs: number;
  /** A client that is left with a zombie loses its volume to another client, by force, as soon as another server has the pool. */
  readonly robsZombies: boolean;
  readonly logSizeBytes: number;
  readonly times: LivenessTimes;
  readonly disk: DiskShape;
  readonly backend: BackendShape;
  readonly user: FarmUserShape;
}

const KIB = 1024;
const TIMES: readonly LivenessTimes[] = [
  { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 },
  { heartbeatMs: 500, suspectMs: 100, deadMs: 1500 },
];

/** After PATIENT_SEEDS, users are in a hurry, so that more I/O is under way at a time. After SMALL_SEEDS, worlds are dense. */
const PATIENT_SEEDS = 5_000;
const UNROBBED_SEEDS = 9_000;
const SMALL_SEEDS = 10_000;
const SMALL_IOS = 1_200;
const DENSE_IOS = 20_000;
const ROBBED_IOS = 4_000;

export function drawFarm(seed: number, random: SeededRandom): FarmShape {
  const isDense = seed > SMALL_SEEDS;
  const isHasty = seed > PATIENT_SEEDS;
  const ios = isDense ? DENSE_IOS : seed > UNROBBED_SEEDS ? ROBBED_IOS : SMALL_IOS;
  const robsZombies = seed > UNROBBED_SEEDS && !isDense;
  const drawnClients = random.pick([1, 2, 2, 3]);
  const clients = robsZombies ? 2 : drawnClients;
  const users = clients * 2 + (clients > 1 ? clients : 0);
  return {
    servers: random.pick([2, 2, 3, 3, 4]),
    clients,
    ios,
    sectors: random.pick(isDense ? [48, 128] : [12, 24, 48]),
    remotes: random.pick([1, 1, 2]),
    slots: random.pick([16, 64]),
    takeOverMs: random.pick(robsZombies ? [3_000] : [3_000, 3_000, 3_000, null]),
    controlMs: random.pick([0.2, 2, 20]),
    // A write-back that a fence refuses would show the zombie that it has lost the pool.
    writeBackMs: random.pick(robsZombies ? [20_000] : [20, 200, 2_000, 20_000]),
    faultGapIos: random.pick(robsZombies ? [1_000] : isDense ? [150, 500] : [20, 60, 150]),
    faultGapMs: random.pick(robsZombies ? [8_000] : [2_000, 5_000, 12_000]),
    robsZombies,
    logSizeBytes: random.pick([64 * KIB, 64 * KIB, 1024 * KIB, 1024 * KIB]),
    times: random.pick(TIMES),
    disk: { wayMs: random.pick([0.2, 1, 5]), lateMs: random.pick([200, 3_000, 12_000]), lateChance: random.pick([0, 0.001, 0.01, 0.05]) },
    backend: {
      fast: random.pick([0, 0.5, 0.9, 1]),
      effectMs: random.pick([0.1, 0.5, 3]),
      lateMs: random.pick([100, 2_000, 8_000]),
      lateChance: random.pick([0, 0.001, 0.01]),
    },
    user: {
      ios: Math.ceil(ios / users),
      depth: random.pick(robsZombies ? [8] : isDense ? [8, 16, 32] : [2, 4, 8, 16]),
      thinkMs: random.pick(robsZombies ? [200] : isDense ? [1, 5, 20] : isHasty ? [5, 50, 500] : [50, 500, 2_000]),
      goOnChance: random.pick(isHasty ? [0.7] : [0, 0.3, 0.7]),
      fuaChance: robsZombies ? 0.001 : 0.08,
      flushChance: random.pick(robsZombies ? [0.001] : [0.01, 0.05, 0.15]),
    },
  };
}

export function drawFarmRoute(random: SeededRandom): RouteShape {
  return {
    latencyMs: random.pick([0.05, 0.2, 1]),
    jitterMs: random.pick([0.05, 0.2, 1]),
    bytesPerMs: random.pick([20_000, 125_000, 1_250_000]),
    cutChance: random.pick([0.005, 0.02, 0.1]),
    loss: { there: 0, back: 0 },
  };
}
