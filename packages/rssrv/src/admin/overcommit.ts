// Says in a sentence if thin volumes of pools may need more space than a file system has. Pure. catalogue.ts says how much a pool promises.
// Invariant: a pool whose size is unknown is not accused.

import { printRoundedSize } from '@rsio/base/lib/units';
import { type PoolState, promisedBytes } from '../pools/catalogue.ts';

/** Returns null if the volumes fit, or if the size of the file system is unknown. */
export function overcommitText(pools: readonly PoolState[]): string | null {
  for (const pool of pools) {
    const [promised, totalBytes] = [promisedBytes(pool), pool.space?.totalBytes ?? null];
    if (totalBytes === null || promised <= totalBytes) continue;
    const sizes = `may grow to ${printRoundedSize(promised)}, and its file system has ${printRoundedSize(totalBytes)}`;
    return `The volumes of pool ${pool.name} ${sizes}: when it is full, writes wait until there is space`;
  }
  return null;
}
