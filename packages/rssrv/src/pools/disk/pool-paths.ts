// The names of files and folders in a pool. Pure. Invariant: a folder with a prefix belongs to an unfinished change, which the next start
// finishes or undoes.

import { join } from 'node:path';

/** Prefix of the folder of a volume or part that is being created, and that does not count as existing yet. */
export const NEW_PREFIX = '.new-';
/** Prefix of the folder of a removed volume or a part that is being deleted for good. */
export const PURGE_PREFIX = '.purge-';

export const poolPaths = {
  identity: (pool: string): string => join(pool, 'pool.json'),
  /** The ledger, with which the next server of the pool treats clients as the last server did (volumes/holds/ledger-file.ts). */
  ledger: (pool: string): string => join(pool, 'ledger.json'),
  /** Space for the next ledger, and the previous ledger while it is being replaced (ledger-space.ts). */
  ledgerSpare: (pool: string): string => join(pool, 'ledger.spare'),
  ledgerOld: (pool: string): string => join(pool, 'ledger.old'),
  volumes: (pool: string): string => join(pool, 'volumes'),
  removed: (pool: string): string => join(pool, 'removed'),
  parts: (pool: string): string => join(pool, 'parts'),
  volume: (pool: string, id: string): string => join(pool, 'volumes', id),
  removedVolume: (pool: string, id: string): string => join(pool, 'removed', id),
  /** The folder with copies that moves of volumes between pools make. No copy in this folder is the only copy of its data. */
  moving: (pool: string): string => join(pool, 'moving'),
  movingVolume: (pool: string, id: string): string => join(pool, 'moving', id),
  part: (pool: string, fileId: string): string => join(pool, 'parts', fileId),
  manifest: (folder: string): string => join(folder, 'volume.json'),
  removal: (folder: string): string => join(folder, 'removed.json'),
  partRecord: (folder: string): string => join(folder, 'part.json'),
  data: (folder: string): string => join(folder, 'data'),
  /** The gate record of a volume (gate-record.ts). */
  record: (folder: string): string => join(folder, 'gate.record'),
  /** The files of the snapshots of a volume (snapshots/snapshot-record.ts). */
  snapshots: (folder: string): string => join(folder, 'snapshots'),
  /** The new data file with which a rollback or refresh replaces the current data file. */
  nextData: (folder: string): string => join(folder, 'data.new'),
  /** The base of an image that is not in the pool of its volume: the content of the image's last refresh. */
  baseData: (folder: string): string => join(folder, 'base'),
  /** The content of a follower's next moment while it arrives, and what has arrived (moves/incoming-files.ts). */
  incoming: (folder: string): string => join(folder, 'incoming'),
  incomingState: (folder: string): string => join(folder, 'incoming.json'),
  /** A clone of `incoming` that is about to replace it. */
  newIncoming: (folder: string): string => join(folder, 'incoming.new'),
  /** The intent map of a replica of a mirror. */
  map: (folder: string): string => join(folder, 'mirror.map'),
} as const;
