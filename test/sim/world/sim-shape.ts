// The shape of a seed's world: numbers of machines, volumes and I/Os, speeds, and the rate of faults. Everything is drawn here, from one
// source of randomness. The numbers are small on purpose (few slots, sequence numbers that wrap after two or four uses), because only then
// does too early reuse show.

import type { StallPolicy } from '@rsio/common/config/schema/types';
import { LOG_TOTAL_BYTES } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import type { RouteShape } from '../network/sim-network.ts';
import type { StorageShape } from '../storage/sim-storage.ts';
import type { UserShape } from '../machines/sim-user.ts';

export interface WorldShape {
  readonly servers: number;
  readonly clients: number;
  /** Interfaces of each client and of each server: paths of a trunk are their product. */
  readonly locals: number;
  readonly remotes: number;
  /** Volumes per client and server; and number of these that all clients share and compete for. */
  readonly volumes: number;
  readonly fought: number;
  /** Mean time between two wishes for a shared volume, ms. */
  readonly rivalGapMs: number;
  readonly sectors: number;
  readonly slots: number;
  readonly seqModulus: number;
  readonly digest: boolean;
  /** Whether paths are encrypted, with a stand-in for TLS. */
  readonly tls: boolean;
  /** Whether servers have pools, in which volumes are created and changed. */
  readonly hasPools: boolean;
  readonly snapshots: boolean;
  /** Whether servers have pools on simulated file systems, with snapshots and moves. */
  readonly hasStores: boolean;
  /** Whether clients read snapshots of these pools. */
  readonly hasReaders: boolean;
  /** Whether there are volumes over several of these pools. */
  readonly hasSpread: boolean;
  /** Whether servers vote for mirrors, which clients claim. */
  readonly hasMirrors: boolean;
  /** Whether mirrors get many I/Os between two faults. */
  readonly isDense: boolean;
  /** Whether servers know REVOKE; else they are of an older build. */
  readonly revokes: boolean;
  readonly times: LivenessTimes;
  readonly logSizeBytes: number;
  /** Whether some routes lose packets all the time. */
  readonly isLossy: boolean;
  readonly faultGapMs: number;
  readonly handOverMs: number;
  readonly controlMs: number;
  /** Stall policies, one of which each volume has. */
  readonly stalls: readonly StallPolicy[];
  readonly user: Omit<UserShape, 'policy'>;
  readonly storage: StorageShape;
}

const KIB = 1024;
/** Every so many seeds, one world has servers of an older build. */
const OLDER_SERVER_SEEDS = 4;
/** After this seed, some worlds encrypt their paths. Earlier worlds stay the same, because most mutants are found in them. */
const TLS_SEEDS_AFTER = 120;
const TLS_SEEDS = 5;
/** Every so many seeds, one world has pools. Most mutants are found in other worlds. */
const POOL_SEEDS = 7;
const POOL_SEED = 4;
/**
 * After this seed, some worlds take snapshots, a third of these with pools. Earlier worlds stay the same, because most mutants are found in
 * them.
 */
const SNAPSHOT_SEEDS_AFTER = 120;
const SNAPSHOT_SEEDS = 14;
const SNAPSHOT_SEEDS_TAKEN: readonly number[] = [2, 9, 11];
/**
 * After this seed, some worlds have pools on simulated file systems. Earlier worlds stay the same, because most mutants are found in them.
 */
const STORE_SEEDS_AFTER = 120;
const STORE_SEEDS = 14;
const STORE_SEED = 8;
/** As the store seed, with clients that read snapshots. */
const READER_SEED = 7;
/** As the store seed, with volumes over several pools. */
const SPREAD_SEED = 3;
/**
 * After this seed, some worlds have mirrors, and neither pools nor snapshots. Earlier worlds stay the same, because most mutants are found
 * in them.
 */
const MIRROR_SEEDS_AFTER = 300;
const MIRROR_SEEDS = 14;
const MIRROR_SEEDS_TAKEN: readonly number[] = [6, 12, 13];
/** Worlds with mirrors after this seed are dense: many more I/Os for each fault. */
const DENSE_SEEDS_AFTER = 10_000;
const DENSE_FAULT_GAPS_MS = [300, 500, 1000, 2000];
/** Added to the seed, so that these draws differ from those of the world. */
const MIRROR_SALT = 1_000_159;
/** I/Os for each server in worlds with mirrors, besides those to mirrors. */
const MIRROR_WORLD_IOS = 60;
/** I/Os of all users of a world together. */
const WORLD_IOS = 4000;
/** I/Os of a world with pools, besides those to volumes of pools. */
const POOL_WORLD_IOS = 1500;
/** Share of the worlds in which routes lose packets, and the share of packets that a route loses in one direction. */
const LOSSY_CHANCE = 0.3;
const NO_LOSS = { there: 0, back: 0 };
const LOSSES = [0, 0, 0.002, 0.01, 0.05];
const LARGE_VOLUME_SECTORS = (4 * 1024 * 1024) / SECTOR_BYTES;

/** Small `log-total`: fifteen cells. */
const TIGHT_LOG_TOTAL_BYTES = 64 * KIB;

const TIMES: readonly LivenessTimes[] = [
  { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 },
  { heartbeatMs: 500, suspectMs: 100, deadMs: 1500 },
  { heartbeatMs: 250, suspectMs: 60, deadMs: 800 },
];

/** Whether the world of this seed has pools on simulated file systems. */
export function isStoreSeed(seed: number): boolean {
  return seed > STORE_SEEDS_AFTER && (seed % STORE_SEEDS === STORE_SEED || isReaderSeed(seed) || isSpreadSeed(seed));
}

/** Whether clients also read snapshots in that world. */
export function isReaderSeed(seed: number): boolean {
  return seed > STORE_SEEDS_AFTER && seed % STORE_SEEDS === READER_SEED;
}

/** Whether that world also has volumes over several of these pools. */
export function isSpreadSeed(seed: number): boolean {
  return seed > STORE_SEEDS_AFTER && seed % STORE_SEEDS === SPREAD_SEED;
}

export function isMirrorSeed(seed: number): boolean {
  return seed > MIRROR_SEEDS_AFTER && MIRROR_SEEDS_TAKEN.includes(seed % MIRROR_SEEDS);
}

/** Whether that world is dense: most of its events are I/O of mirrors. */
export function isDenseSeed(seed: number): boolean {
  return seed > DENSE_SEEDS_AFTER && isMirrorSeed(seed);
}

export function drawShape(random: SeededRandom, seed: number): WorldShape {
  const shape = drawPlainShape(random, seed);
  if (!isMirrorSeed(seed)) return shape;
  const mirrorRandom = new SeededRandom(seed * MIRROR_SALT + 5);
  const mirrors = { ...shape, ...drawMirrorShape(mirrorRandom) };
  return isDenseSeed(seed) ? { ...mirrors, ...drawDenseShape(mirrorRandom) } : mirrors;
}

/** Differences of dense worlds: more slots, and storage that mostly answers at once. */
function drawDenseShape(random: SeededRandom): Partial<WorldShape> {
  return {
    isDense: true,
    isLossy: random.chance(0.1),
    faultGapMs: random.pick(DENSE_FAULT_GAPS_MS),
    slots: random.pick([64, 256, 256]),
    storage: {
      fast: random.pick([0.5, 0.9, 0.98, 1]),
      effectMs: random.pick([0.2, 0.5, 3]),
      endMs: random.pick([0.1, 0.5]),
      lateChance: random.pick([0.0002, 0.001, 0.003]),
    },
  };
}

/** Differences of worlds with mirrors: besides the mirrors, one volume for each client and server, with little I/O. */
function drawMirrorShape(random: SeededRandom): Partial<WorldShape> {
  const clients = random.pick([1, 2, 2]);
  return {
    ...{ servers: 3, clients, volumes: 1, fought: 0, sectors: 64, revokes: true, hasMirrors: true },
    user: {
      ios: Math.ceil(MIRROR_WORLD_IOS / clients),
      flushes: true,
      depth: 4,
      smallSectors: 4,
      largeChance: 0.1,
      largeSectors: 48,
      thinkMs: 20,
    },
  };
}

function drawPlainShape(random: SeededRandom, seed: number): WorldShape {
  const servers = random.chance(0.25) ? 2 : 1;
  const clients = random.pick([1, 1, 1, 2, 2, 3]);
  const [locals, remotes] = random.pick([
    [1, 1],
    [1, 2],
    [2, 1],
    [1, 2],
    [2, 2],
    [1, 3],
    [2, 3],
    [2, 4],
  ] as const);
  const volumes = random.pick([1, 1, 2, 3]);
  const isLarge = random.chance(0.05);
  const fought = clients > 1 && random.chance(0.7) ? random.int(1, volumes) : 0;
  const users = servers * clients * volumes;
  const hasPools = seed % POOL_SEEDS === POOL_SEED;
  const hasStores = isStoreSeed(seed);
  return {
    servers,
    clients,
    locals,
    remotes,
    volumes,
    fought,
    rivalGapMs: random.pick([100, 300, 1000]),
    sectors: isLarge ? LARGE_VOLUME_SECTORS : random.pick([64, 256, 512]),
    slots: random.pick([256, 64, 40, 16, 16, 10]),
    seqModulus: random.pick([2, 2, 4, 0x10000]),
    digest: random.chance(0.2),
    // Not drawn, so that all other numbers of a seed stay the same.
    hasPools,
    hasStores,
    hasReaders: isReaderSeed(seed),
    hasSpread: isSpreadSeed(seed),
    hasMirrors: false,
    isDense: false,
    tls: seed > TLS_SEEDS_AFTER && seed % TLS_SEEDS === 1,
    snapshots: seed > SNAPSHOT_SEEDS_AFTER && SNAPSHOT_SEEDS_TAKEN.includes(seed % SNAPSHOT_SEEDS),
    revokes: seed % OLDER_SERVER_SEEDS !== 0,
    times: random.pick(TIMES),
    logSizeBytes: random.pick([0, 64 * KIB, 1024 * KIB, 1024 * KIB]),
    isLossy: random.chance(LOSSY_CHANCE),
    faultGapMs: random.pick([100, 200, 400, 1000]),
    handOverMs: random.pick([1, 15, 60]),
    controlMs: random.pick([1, 20]),
    stalls: random.pick<readonly StallPolicy[]>([['forever'], ['forever'], ['forever', 'fail'], ['fail', 1000, 5000]]),
    user: {
      ios: Math.ceil((hasPools || hasStores ? POOL_WORLD_IOS : WORLD_IOS) / users / (isLarge ? 4 : 1)),
      flushes: random.chance(0.8),
      depth: random.pick([1, 4, 16, 32, 48]),
      smallSectors: random.pick([1, 4, 8]),
      largeChance: isLarge ? 0.1 : random.pick([0.1, 0.1, 0.5]),
      largeSectors: isLarge ? LARGE_VOLUME_SECTORS / 2 : 48,
      thinkMs: random.pick([1, 5, 20]),
    },
    storage: {
      fast: random.pick([1, 0.9, 0.5, 0, 0, 0]),
      effectMs: random.pick([0.5, 3, 10]),
      endMs: random.pick([0.5, 3, 10]),
      lateChance: random.pick([0.01, 0.1, 0.3]),
    },
  };
}

/** `log-total` of each client: tight in a third of the worlds. Not drawn, so that the world of every seed stays the same. */
export function logTotalOf({ slots }: Pick<WorldShape, 'slots'>): number {
  return slots === 40 || slots === 64 ? TIGHT_LOG_TOTAL_BYTES : LOG_TOTAL_BYTES;
}

export function drawRoute(random: SeededRandom, { isLossy, isDense }: Pick<WorldShape, 'isLossy' | 'isDense'>): RouteShape {
  return {
    latencyMs: random.pick(isDense ? [0.05, 0.2, 1] : [0.05, 0.2, 1, 5]),
    jitterMs: random.pick(isDense ? [0.05, 0.2, 1] : [0.05, 0.5, 5]),
    bytesPerMs: random.pick(isDense ? [20_000, 125_000, 1_250_000] : [2_000, 20_000, 125_000, 1_250_000]),
    cutChance: random.pick(isDense ? [0.005, 0.02, 0.1] : [0.01, 0.1, 0.4]),
    loss: isLossy ? { there: random.pick(LOSSES), back: random.pick(LOSSES) } : NO_LOSS,
  };
}
