// The shape of a seed's world: numbers of machines, volumes and I/Os, speeds, and the rate of faults. Everything is drawn here, from one
// source of randomness. The numbers are small on purpose (few slots, sequence numbers that wrap after two or four uses), because otherwise
// no run would show that a slot or a sequence number is reused too early.

import type { StallPolicy } from '@rsio/common/config/schema/value-types';
import { LOG_TOTAL_BYTES } from '@rsio/common/config/schema/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import type { RouteShape } from '../network/sim-network.ts';
import type { StorageShape } from '../storage/sim-storage.ts';
import type { UserShape } from '../machines/sim-user.ts';

export interface WorldShape {
  readonly servers: number;
  readonly clients: number;
  /**
   * Number of interfaces of each client (`locals`) and of each server (`remotes`). The number of paths of a trunk is the product of both
   * numbers.
   */
  readonly locals: number;
  readonly remotes: number;
  /** `volumes`: number of volumes that each client uses at each server. `fought`: number of volumes for which all clients compete. */
  readonly volumes: number;
  readonly fought: number;
  /** Mean time in ms between two moments at which a user asks for a shared volume or releases it. */
  readonly rivalGapMs: number;
  readonly sectors: number;
  readonly slots: number;
  readonly seqModulus: number;
  readonly digest: boolean;
  /** Whether paths are encrypted, with a stand-in for TLS. */
  readonly tls: boolean;
  /** Whether servers have pools, in which volumes are created and changed. */
  readonly hasPools: boolean;
  /** Whether administrators take volumes of the pools away from clients. */
  readonly hasRevocations: boolean;
  readonly snapshots: boolean;
  /** Whether servers have pools on simulated file systems, with snapshots and moves. */
  readonly hasStores: boolean;
  /** Whether clients read snapshots in pools on simulated file systems. */
  readonly hasReaders: boolean;
  /** Whether there are volumes over several pools on simulated file systems. */
  readonly hasSpread: boolean;
  /** Whether servers vote for mirrors, which clients claim. */
  readonly hasMirrors: boolean;
  /** Whether mirrors get many I/Os between two faults. */
  readonly isDense: boolean;
  /** Number of data processes of each client besides its main process. The volumes move between these processes. */
  readonly dataProcesses: number;
  /** Whether servers know REVOKE. Servers of an older build lack REVOKE. */
  readonly revokes: boolean;
  readonly times: LivenessTimes;
  readonly logSizeBytes: number;
  /** Whether some routes lose packets all the time. */
  readonly isLossy: boolean;
  readonly faultGapMs: number;
  readonly handOverMs: number;
  readonly controlMs: number;
  /** Stall policies. Each volume gets one of these policies. */
  readonly stalls: readonly StallPolicy[];
  readonly user: Omit<UserShape, 'policy'>;
  readonly storage: StorageShape;
}

const KIB = 1024;
/** The world of each seed that is a multiple of this number has servers of an older build. */
const OLDER_SERVER_SEEDS = 4;
/**
 * Some worlds of later seeds encrypt their paths. Earlier seeds get no new features, so that the seeds at which mutants are found stay the
 * same.
 */
const TLS_SEEDS_AFTER = 120;
const TLS_SEEDS = 5;
/** One in this many successive seeds has a world with pools, because most mutants are found in other worlds. */
const POOL_SEEDS = 7;
const POOL_SEED = 4;
/** In some worlds of later seeds with pools, and with nothing else, volumes are taken away from clients. */
const REVOCATION_SEEDS_AFTER = 3_000;
const REVOCATION_SEEDS = 14;
const REVOCATION_SEED = 4;
/** In some worlds of later seeds, snapshots are taken; a third of these worlds have pools. */
const SNAPSHOT_SEEDS_AFTER = 120;
const SNAPSHOT_SEEDS = 14;
const SNAPSHOT_SEEDS_TAKEN: readonly number[] = [2, 9, 11];
/** Some worlds of later seeds have pools on simulated file systems. */
const STORE_SEEDS_AFTER = 120;
const STORE_SEEDS = 14;
const STORE_SEED = 8;
/** Like STORE_SEED, but clients of these worlds also read snapshots. */
const READER_SEED = 7;
/** Like STORE_SEED, but these worlds also have volumes over several pools. */
const SPREAD_SEED = 3;
/** Some worlds of later seeds have mirrors, but neither pools nor snapshots. */
const MIRROR_SEEDS_AFTER = 300;
const MIRROR_SEEDS = 14;
const MIRROR_SEEDS_TAKEN: readonly number[] = [6, 12, 13];
/** Worlds with mirrors after this seed are dense: many more I/Os for each fault. */
const DENSE_SEEDS_AFTER = 10_000;
const DENSE_FAULT_GAPS_MS = [300, 500, 1000, 2000];
/** Clients have data processes in some worlds of later seeds, which have neither pools nor snapshots nor mirrors. */
const DATA_PROCESS_SEEDS_AFTER = 1_000;
const DATA_PROCESS_SEEDS = 14;
const DATA_PROCESS_SEEDS_TAKEN: readonly number[] = [1, 10];
/** Added to the seed, so that these draws differ from the world's. */
const MIRROR_SALT = 1_000_159;
/** In worlds with mirrors: number of I/Os to the plain volumes of each server. */
const MIRROR_WORLD_IOS = 60;
/** I/Os of all users of a world together. */
const WORLD_IOS = 4000;
/** In worlds with pools: number of I/Os to volumes outside of the pools. */
const POOL_WORLD_IOS = 1500;
/**
 * LOSSY_CHANCE: chance that routes of a world lose packets. LOSSES: shares of lost packets; each direction of a route gets one of them.
 */
const LOSSY_CHANCE = 0.3;
const NO_LOSS = { there: 0, back: 0 };
const LOSSES = [0, 0, 0.002, 0.01, 0.05];
const LARGE_VOLUME_SECTORS = (4 * 1024 * 1024) / SECTOR_BYTES;

/** A small `log-total`, with room for fifteen cells. */
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

export function isReaderSeed(seed: number): boolean {
  return seed > STORE_SEEDS_AFTER && seed % STORE_SEEDS === READER_SEED;
}

export function isSpreadSeed(seed: number): boolean {
  return seed > STORE_SEEDS_AFTER && seed % STORE_SEEDS === SPREAD_SEED;
}

export function isMirrorSeed(seed: number): boolean {
  return seed > MIRROR_SEEDS_AFTER && MIRROR_SEEDS_TAKEN.includes(seed % MIRROR_SEEDS);
}

export function isRevocationSeed(seed: number): boolean {
  return seed > REVOCATION_SEEDS_AFTER && seed % REVOCATION_SEEDS === REVOCATION_SEED;
}

export function isDataProcessSeed(seed: number): boolean {
  return seed > DATA_PROCESS_SEEDS_AFTER && DATA_PROCESS_SEEDS_TAKEN.includes(seed % DATA_PROCESS_SEEDS);
}

/** Whether the world of this seed is dense: most of its events are I/O of mirrors. */
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

/** How a dense world differs from the plain shape: it has more slots, and its storage mostly answers at once. */
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

/**
 * How a world with mirrors differs from the plain shape: besides the mirrors, each client has one volume at each server, with little I/O.
 */
function drawMirrorShape(random: SeededRandom): Partial<WorldShape> {
  const clients = random.pick([1, 2, 2]);
  return {
    servers: 3,
    clients,
    volumes: 1,
    fought: 0,
    sectors: 64,
    revokes: true,
    hasMirrors: true,
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
    // These flags are computed from the seed and not drawn, so that all other numbers of a seed stay the same.
    hasPools,
    hasRevocations: isRevocationSeed(seed),
    hasStores,
    hasReaders: isReaderSeed(seed),
    hasSpread: isSpreadSeed(seed),
    hasMirrors: false,
    isDense: false,
    dataProcesses: isDataProcessSeed(seed) ? 1 + (seed % 2) : 0,
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

/**
 * Returns the `log-total` of each client, which is tight in a third of the worlds. The value is computed from `slots` and not drawn, so
 * that the other draws of every seed stay the same.
 */
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
