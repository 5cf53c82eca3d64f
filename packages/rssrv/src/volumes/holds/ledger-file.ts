// The content of POOL/ledger.json, with which the next server of a pool treats clients as the last server did. Pure; ledgers.ts reads and
// writes the file. Invariants: the generation grows each time another server, or the same server after a boot, becomes the owner. A volume
// that is not in the ledger was never held in this pool; a missing or damaged ledger is therefore never replaced by an empty one.

import type { StateForm } from '@rsio/base/files/state-file';
import { integer, map, object, type Of, optional, orNull, text } from '@rsio/base/lib/shape';
import { LEDGER_VERSION } from '../../pools/disk/empty-ledger.ts';
import { FENCES } from '../fences-file.ts';
import { NODES, VOLUMES } from './holds-file.ts';

const CONTENT = object({
  /** Id of the pool, so that the ledger of another pool is refused. */
  poolId: text(),
  /** Number of times that the pool has got an owner. */
  generation: integer(),
  /** The run of the server that owns the pool (RunRecords.runId); null until a server has opened the pool. */
  owner: orNull(text()),
  /** Maps the id of a volume or snapshot to its holds. */
  volumes: VOLUMES,
  /** Maps each node to the notes about its instances (H4). */
  nodes: NODES,
  /** The fenced clients of the owner. */
  fences: FENCES,
  /**
   * In a shared pool: maps each held volume to the number of its incarnations that have ended within the current life of the pool. A
   * take-over by force starts a new life.
   */
  counts: optional(map(integer())),
});
export type LedgerContent = Of<typeof CONTENT>;

export const LEDGER_FILE: StateForm<LedgerContent> = {
  version: LEDGER_VERSION,
  shape: CONTENT,
  areEntriesFixed: true,
  remedy:
    'restore it together with the pool, because it says who holds the volumes of the pool. If it is gone or damaged, and every client ' +
    'that held one has ended: rsadm pool add NAME PATH --no-holders (not for a shared disk)',
};

/** Returns the ledger after the server with the run `owner` has opened the pool. Returns `ledger` itself if that server owns the pool. */
export function ownedBy(ledger: LedgerContent, owner: string): LedgerContent {
  return ledger.owner === owner ? ledger : { ...ledger, generation: ledger.generation + 1, owner };
}
