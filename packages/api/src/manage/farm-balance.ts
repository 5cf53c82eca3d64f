// Proposes moves of shared pools between their owners, so that the most loaded server has less to do. Pure. Invariants: a pool moves only
// to one of its configured owners that is running; no server gets more load than the most loaded server had before; after the moves, no
// further move is proposed.

import type { SharedPoolView } from '../views/views.ts';

/** A move is proposed only if it takes at least this share of the load from the more loaded of the two servers. */
const GAIN_MIN = 0.1;

type BalancedPool = Pick<SharedPoolView, 'name' | 'state' | 'owner' | 'owners' | 'takeOverMs' | 'load'>;

export interface PoolMove {
  readonly pool: string;
  readonly from: string;
  readonly to: string;
}

interface Placed {
  readonly name: string;
  readonly load: number;
  readonly from: string;
  /** Servers that may serve the pool now, the preferred one first. */
  readonly candidates: readonly string[];
  readonly at: string;
}

/** Returns the loads after these moves, for all servers that serve or could serve a pool. */
export function serverLoads(pools: readonly BalancedPool[], moves: readonly PoolMove[]): ReadonlyMap<string, number> {
  const placed = placedPools(pools).map((pool) => ({ ...pool, at: moves.find((move) => move.pool === pool.name)?.to ?? pool.at }));
  return loadsOf(placed);
}

/**
 * Returns the proposed moves. A pool stays if its load is unknown or its owner is not running. A pool that only commands move also stays,
 * because another program may give these commands.
 */
export function balancingMoves(pools: readonly BalancedPool[]): readonly PoolMove[] {
  let placed = placedPools(pools);
  // Each step lowers the sum of the squares of the loads, so no placement occurs twice and the loop ends.
  for (let next = better(placed); next !== null; next = better(placed)) placed = next;
  return placed.flatMap(({ name, from, at }) => (from === at ? [] : [{ pool: name, from, to: at }]));
}

function placedPools(pools: readonly BalancedPool[]): readonly Placed[] {
  return pools.flatMap(({ name, state, owner, owners, takeOverMs, load }) => {
    if (state !== 'serving' || owner === null || load === null) return [];
    const there = owners.filter(({ isThere }) => isThere).map(({ server }) => server);
    const candidates = takeOverMs !== null && there.includes(owner) ? there : [owner];
    return [{ name, load, from: owner, at: owner, candidates }];
  });
}

/** Returns the placement after the move that relieves a server most; null if no move gains enough. */
function better(placed: readonly Placed[]): readonly Placed[] | null {
  const loads = loadsOf(placed);
  let best: { readonly gain: number; readonly pool: Placed; readonly to: string } | null = null;
  for (const pool of placed) {
    const here = loads.get(pool.at) ?? 0;
    for (const to of pool.candidates) {
      if (to === pool.at) continue;
      const gain = here - Math.max(here - pool.load, (loads.get(to) ?? 0) + pool.load);
      if (gain > 0 && gain >= here * GAIN_MIN && gain > (best?.gain ?? 0)) best = { gain, pool, to };
    }
  }
  if (best === null) return null;
  const { pool, to } = best;
  return placed.map((one) => (one === pool ? { ...one, at: to } : one));
}

function loadsOf(placed: readonly Placed[]): Map<string, number> {
  const loads = new Map<string, number>(placed.flatMap(({ candidates }) => candidates.map((server) => [server, 0] as const)));
  for (const { at, load } of placed) loads.set(at, (loads.get(at) ?? 0) + load);
  return loads;
}
