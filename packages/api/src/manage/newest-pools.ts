// Says which of several answers about one shared pool counts. Pure. Invariant: the answer with the newest record counts, because a server
// that is cut off from the storage knows only an old one; of equally new answers, that of the owner.

import type { SharedPoolView } from '../views/views.ts';

/** What a server has told about a shared pool. */
export interface PoolTold {
  readonly namespace: string;
  readonly server: string;
  readonly pool: SharedPoolView;
}

/** Returns one answer about each pool, in the order in which the pools are first named. */
export function newestPools(told: readonly PoolTold[]): PoolTold[] {
  const byPool = new Map<string, PoolTold>();
  for (const one of told) {
    const key = JSON.stringify([one.namespace, sharedPoolKey(one.pool)]);
    const known = byPool.get(key);
    if (known === undefined || rankOf(one.pool) > rankOf(known.pool)) byPool.set(key, one);
  }
  return [...byPool.values()];
}

/** Tells the pools of one namespace apart. A local pool of another server, or a pool on another disk, may have the same name. */
export function sharedPoolKey({ name, disk }: SharedPoolView): string {
  return JSON.stringify([name, disk]);
}

function rankOf({ generation, isHere }: SharedPoolView): number {
  return 2 * generation + Number(isHere);
}
