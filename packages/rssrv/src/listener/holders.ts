// Phase 2 of the listener: the pools, and which clients hold which volumes. The files in the state directory and the ledgers of the pools
// have the holds and the fences. Invariant: the holds and fences of a pool are saved in the ledger of this pool, and in no other ledger.

import { Farms } from '../farm/farms.ts';
import { allocateSpace } from '../pools/disk/allocate.ts';
import { stepReached } from '../pools/disk/kill-step.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { PoolPaces } from '../pools/space/pool-paces.ts';
import { PoolMemory } from '../pools/pool-memory.ts';
import { Pools } from '../pools/pools.ts';
import { randomUnit, sharedPoolParts } from '../server/shared/shared-pool-parts.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';
import { Fences } from '../volumes/fences.ts';
import { Holds } from '../volumes/holds/holds.ts';
import { Ledgers } from '../volumes/holds/ledgers.ts';
import { OwnedLedgers } from '../volumes/holds/owned-ledgers.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { Foundation } from './foundation.ts';

export type Holders = ReturnType<typeof newHolders>;

export function newHolders({ paths, clock, log, current, records, signals }: Foundation) {
  const ledgers = new OwnedLedgers(log, signals.ledgerChange.send);
  const holds = new Holds(paths.holdersFile, () => clock.wallMs(), log, ledgers);
  const fences = new Fences(clock, paths.fencesFile, holds, () => ledgers.saveFences());
  const memory = new PoolMemory(paths.poolsFile, clock, log);
  const paces = new PoolPaces(paths.pacesFile, clock, log);
  const ledgersOfPools = new Ledgers({
    log,
    holds,
    fences,
    owned: ledgers,
    owner: () => records.runId,
    begin: (ids) => records.poolCame(ids),
    countOf: (id) => records.countOf(id),
    adoptCounts: (counts) => records.adoptCounts(counts),
    areRemembered: (path, volumes) => areRemembered(memory, path, volumes),
    came: signals.holdersCame.send,
  });
  const farms = new Farms({
    clock,
    log,
    random: randomUnit,
    server: () => current.config.server.name,
    partsOf: (config) => sharedPoolParts(config, current.config.server.name, paths.runDir, clock),
    loadOf: signals.poolLoad.send,
    came: signals.poolCame.send,
    leave: signals.poolLeaves.send,
  });
  const pools = new Pools({
    changed: (states) => memory.update(states),
    measured: signals.spaceMeasured.send,
    clock,
    log,
    takeLocks,
    ledgers: ledgersOfPools,
    ownershipOf: (pool) => farms.ownershipOf(pool),
    allocate: allocateSpace,
    reached: stepReached,
    storageFailed: (name, why) => farms.storageFailed(name, why),
    answersAgain: signals.poolAnswers.send,
  });
  signals.ledgerChange.listen((poolId, work) => pools.onLedger(poolId, work));
  return { ledgers, holds, fences, memory, paces, farms, pools };
}

/** Returns true if this server has served a pool with all these volumes at this path before. */
function areRemembered(memory: PoolMemory, path: string, volumes: Iterable<Pick<Manifest, 'name' | 'universe'>>): boolean {
  const known = new Set(memory.volumesOf(path).map(volumeKey));
  return [...volumes].every((volume) => known.has(volumeKey(volume)));
}
