// A ledger without holders, for a new pool, or for a pool whose holders are not known and have ended. Pure. The complete format is in
// volumes/holds/ledger-file.ts, which this floor must not import. Invariants: the first server that opens the pool can load this ledger; a
// ledger that is whole JSON, also one of a later release, always tells the id of its pool.

import { accepts, object } from '@rsio/base/lib/shape';
import type { PoolIdentity } from './manifest.ts';
import { poolId } from './description-shapes.ts';

export const LEDGER_VERSION = 1;

/** `volumeIds`: volumes whose epoch is `epoch`, so that every later hold has a higher epoch. */
export function printEmptyLedger(poolId: string, volumeIds: readonly string[] = [], epoch = 0): string {
  const volumes = Object.fromEntries(volumeIds.map((id) => [id, { epoch, holds: [], taken: null }]));
  return `${JSON.stringify({ version: LEDGER_VERSION, content: { poolId, generation: 0, owner: null, volumes, nodes: {}, fences: {} } })}\n`;
}

const OWN_POOL = accepts(object({ content: object({ poolId }) }));

/** Returns the id of the pool of a ledger; null if the text was cut or lost. */
export function poolIdIn(ledger: string): PoolIdentity['id'] | null {
  try {
    const parsed: unknown = JSON.parse(ledger);
    return OWN_POOL(parsed) ? parsed.content.poolId : null;
  } catch {
    return null;
  }
}
