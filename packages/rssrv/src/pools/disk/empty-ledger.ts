// A ledger without holders, for a new pool, or for a pool whose holders are not known and have ended. Pure. The complete format is in
// volumes/holds/ledger-file.ts, which this floor must not import. Invariants: the first server that opens the pool can load this ledger; a
// ledger that is whole, also one of a later release, always tells the id of its pool.

import { readSealed, sealed } from '@rsio/base/files/sealed-text';
import { accepts, object } from '@rsio/base/lib/shape';
import type { PoolIdentity } from './manifest.ts';
import { poolId } from './description-shapes.ts';

export const LEDGER_VERSION = 1;

/** `volumeIds`: volumes whose epoch is `epoch`, so that every later hold has a higher epoch. */
export function printEmptyLedger(poolId: string, volumeIds: readonly string[] = [], epoch = 0): string {
  const volumes = Object.fromEntries(volumeIds.map((id) => [id, { epoch, holds: [], taken: null }]));
  const content = { poolId, generation: 0, owner: null, volumes, nodes: {}, fences: {} };
  return sealed(`${JSON.stringify({ version: LEDGER_VERSION, content })}\n`);
}

const OWN_POOL = accepts(object({ content: object({ poolId }) }));

/** Returns the id of the pool of a ledger; null if the text is damaged. */
export function poolIdIn(ledger: string): PoolIdentity['id'] | null {
  const read = readSealed(ledger);
  return 'value' in read && OWN_POOL(read.value) ? read.value.content.poolId : null;
}
