// A ledger that names no holder, for a new pool and for a pool of an earlier release whose holders have ended. Pure.
// volumes/holds/ledger-file.ts has the whole form, which depends on the rules of holds above this folder. Invariant: the first server that
// opens the pool can load this ledger.

export const LEDGER_VERSION = 1;

/** `volumeIds`: volumes whose holds begin with an epoch after `epoch`. */
export function printEmptyLedger(poolId: string, volumeIds: readonly string[] = [], epoch = 0): string {
  const volumes = Object.fromEntries(volumeIds.map((id) => [id, { epoch, holds: [], taken: null }]));
  return `${JSON.stringify({ version: LEDGER_VERSION, content: { poolId, generation: 0, owner: null, volumes, nodes: {}, fences: {} } })}\n`;
}
