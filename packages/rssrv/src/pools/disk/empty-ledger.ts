// A ledger without holders, for a new pool, or for a pool of an earlier release whose volumes are no longer held. Pure. The complete format
// is in volumes/holds/ledger-file.ts, which this floor must not import. Invariant: the first server that opens the pool can load this
// ledger.

export const LEDGER_VERSION = 1;

/** `volumeIds`: volumes whose epoch is `epoch`, so that every later hold has a higher epoch. */
export function printEmptyLedger(poolId: string, volumeIds: readonly string[] = [], epoch = 0): string {
  const volumes = Object.fromEntries(volumeIds.map((id) => [id, { epoch, holds: [], taken: null }]));
  return `${JSON.stringify({ version: LEDGER_VERSION, content: { poolId, generation: 0, owner: null, volumes, nodes: {}, fences: {} } })}\n`;
}
