// Executes the methods about pools. The class Pools owns the pools and their locks. Invariant: if a file system does not answer, only
// requests about this file system are delayed.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { POOL_METHODS } from '@rsio/common/control/server/pool-methods';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { PoolView } from '@rsio/common/control/server/views';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import type { Farms } from '../farm/farms.ts';
import { poolNamed, type PoolState } from '../pools/catalogue.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import { makePool } from '../pools/make-pool.ts';
import { answers } from '../pools/disk/answers.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import type { Changes } from '../pools/requests/requests.ts';
import { poolView } from './server-views.ts';

export function poolHandlers(
  clock: Clock,
  changes: Changes,
  verbs: PoolVerbs,
  farms: Pick<Farms, 'away'>,
): HandlersOf<typeof POOL_METHODS> {
  const { pools } = verbs;
  const viewOf = (pool: PoolState): PoolView => poolView(pool, pools.states, pools.space.of(pool), farms.away(pool));
  return {
    // `pool-make` is not executed in the queue of changes, because the file system at the given path may not answer.
    'pool-make': ({ path, noHolders }) => madePool(clock, pools, path, noHolders),
    'pool-check': ({ name }) =>
      changes.run(async () => {
        poolNamed(verbs.catalogue, name);
        await pools.check(name);
        return { pool: viewOf(poolNamed(verbs.catalogue, name)) };
      }, `a check of pool ${name}`),
    'pool-list': async () => {
      await pools.measure();
      return { pools: pools.states.map(viewOf) };
    },
  };
}

async function madePool(clock: Clock, pools: Pools, path: string, noHolders: boolean): Promise<ServerMethods['pool-make']['result']> {
  if (pools.makingAt.has(path)) throw new RsError('E_BUSY', `A pool is being made at ${path}: try again when that has ended`, { path });
  pools.makingAt.add(path);
  const made = makePool(path, clock.wallMs(), pools.states, noHolders).finally(() => pools.makingAt.delete(path));
  if (await answers(clock, POOL_CHANGE_MS, () => made)) return made;
  throw new RsError('E_TIMEOUT', `${path} does not answer within ${printDuration(POOL_CHANGE_MS)}: check its file system`, { path });
}
