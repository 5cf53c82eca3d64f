// Stand-ins for the ledgers of pools, for tests that have pools without holds, or holds without pools. Invariant: a test that saves a hold
// of a volume in a pool cannot use these stand-ins by mistake.

import type { PoolLedgers } from '../pools/open-pool.ts';
import type { HoldLedgers } from '../volumes/holds/hold-store.ts';

/** For pools without holds. */
export const NO_LEDGERS: PoolLedgers = {
  read: () => Promise.resolve(),
  own: () => Promise.resolve(),
  inForce: () => undefined,
  left: () => undefined,
  carry: (_ids, _toId, commit) => commit(),
};

/** For holds of volumes that are in no pool. */
export const NO_LEDGER: HoldLedgers = {
  save: (poolId) => Promise.reject(new Error(`This test has no ledger of pool id ${poolId}`)),
  isDirty: () => false,
  doubt: () => undefined,
};
