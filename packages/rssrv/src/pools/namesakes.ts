// Finds the volumes that share their name with another one, because a pool was brought from another server. Pure. Invariant: of the volumes
// with one name, clients get the first one.

import type { Found, PoolState } from './catalogue.ts';

/**
 * Returns the pool whose volume clients get by the name of this volume: another pool, if a pool that was brought from another server has a
 * volume of the same name. Returns null if the name means this volume.
 */
export function namesakeOf(pools: readonly PoolState[], { manifest: { id, name, universe } }: Found): PoolState | null {
  for (const pool of pools)
    for (const other of pool.volumes.values()) {
      if (other.id === id) return null;
      if (pool.isOpen && other.name === name && other.universe === universe) return pool;
    }
  return null;
}
