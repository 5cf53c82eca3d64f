// Executes the methods about pools. The class Pools owns the pools and their locks. Invariant: if a file system does not answer, only
// requests about this file system are delayed.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { POOL_METHODS } from '@rsio/common/control/server/pool-methods';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import { poolNamed } from '../pools/catalogue.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import { makePool } from '../pools/make-pool.ts';
import { answers } from '../pools/disk/answers.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import type { Changes } from '../pools/requests/requests.ts';
import { poolView } from './server-views.ts';

export function poolHandlers(clock: Clock, changes: Changes, verbs: PoolVerbs): HandlersOf<typeof POOL_METHODS> {
  const { pools } = verbs;
  return {
    // `pool-make` is not executed in the queue of changes, because the file system at the given path may not answer.
    'pool-make': ({ path, noHolders }) => madePool(clock, pools, path, noHolders),
    'pool-check': ({ name }) =>
      changes.run(async () => {
        poolNamed(verbs.catalogue, name);
        await pools.check(name);
        const pool = poolNamed(verbs.catalogue, name);
        return { pool: poolView(pool, pools.states, pools.space.of(pool)) };
      }, `a check of pool ${name}`),
    'pool-list': async () => {
      await pools.measure();
      return { pools: pools.states.map((pool) => poolView(pool, pools.states, pools.space.of(pool))) };
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
