// Says in a sentence if thin volumes of pools may need more space than there is. Pure. catalogue.ts says how much a pool promises and holds.
// Invariant: a pool whose size is unknown, or with overcommit = allow, is not accused.

import { printRoundedSize } from '@rsio/base/lib/units';
import { holdableBytes, type PoolState, promisedBytes } from '../catalogue.ts';

/** Returns null if the volumes fit, or if nothing is to be said. `moreBytes`: what each pool is about to promise. */
export function overcommitText(pools: readonly PoolState[], moreBytes: number): string | null {
  for (const pool of pools) {
    const [promised, holdable] = [promisedBytes(pool) + moreBytes, holdableBytes(pool)];
    if (pool.overcommit === 'allow' || holdable === null || promised <= holdable) continue;
    const sizes = `may grow to ${printRoundedSize(promised)}, and it has ${printRoundedSize(holdable)} above its reserve`;
    return `The volumes of pool ${pool.name} ${sizes}: when it is full, writes wait until there is space`;
  }
  return null;
}
