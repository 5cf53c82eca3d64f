// Determines the time of a removal, the volume that a restore brings back, and the removed volumes that a purge deletes for good. Pure.
// Invariants: of all removed volumes with one name, the volume that was removed last has the latest time, even if the clock of the server
// was set back. A client deletes for good only volumes that it has created.

import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import {
  type Catalogue,
  checkName,
  checkPools,
  type Found,
  partsOf,
  type PoolState,
  unusable,
  type VolumeName,
  volumeText,
} from './catalogue.ts';
import type { Manifest, Removal } from './disk/manifest.ts';
import type { RemovedVolume } from './disk/pool-scan.ts';
import { PURGED_AT_ONCE_MAX } from './limits.ts';
import { mayBeLeft } from './repair/move-repair.ts';

/**
 * Returns the time to record for a removal. The result is the current time. If the clock was set back, the result is a time just after the
 * last removal of a volume with this name. With an earlier time, `decideRestore` would restore the wrong volume.
 */
export function removalMs({ pools }: Catalogue, { name, universe }: VolumeName, nowMs: number): number {
  let latestMs = nowMs - 1;
  for (const { removed } of pools)
    for (const { manifest, removal } of removed.values())
      if (manifest.name === name && manifest.universe === universe) latestMs = Math.max(latestMs, removal.removedMs);
  return latestMs + 1;
}

/** Returns the most recently removed volume with this name. Throws E_UNKNOWN_VOLUME if no removed volume has this name. */
export function decideRestore(
  catalogue: Catalogue,
  wanted: VolumeName,
  asker: Asker,
  request: string | null,
): { readonly pool: PoolState; readonly manifest: Manifest } {
  asker.needs('manage', 'restore volumes');
  const candidates = catalogue.pools.flatMap((pool) =>
    [...pool.removed.values()]
      .filter(({ manifest }) => manifest.name === wanted.name && manifest.universe === wanted.universe && asker.mayAttach(manifest.clients))
      .map(({ manifest, removal }) => ({ pool, manifest, removal })),
  );
  const [last] = candidates.toSorted((a, b) => b.removal.removedMs - a.removal.removedMs);
  const text = volumeText(wanted);
  if (last === undefined)
    throw new RsError('E_UNKNOWN_VOLUME', `No removed volume ${text}: rsadm volume list --removed shows what can be restored`, {
      volume: text,
    });
  const { pool, manifest } = last;
  checkPools(catalogue, asker, pool, manifest);
  asker.checkMine(manifest, 'restore volumes');
  if (pool.trouble !== null) throw unusable(pool);
  checkName(catalogue, wanted, null, 'rename that one first');
  asker.checkOwner(manifest);
  // The limits of the owner and of the pools are not checked, because a removed volume already counts towards them.
  for (const { pool: other } of partsOf(catalogue, manifest)) if (other.trouble !== null) throw unusable(other);
  return { pool, manifest: { ...manifest, request } };
}

/** The removed volumes that a request deletes for good. */
export interface Purge {
  /** Selects the volumes with this name; null selects all names. */
  readonly volume: VolumeName | null;
  /** Selects the removed volume with this id among several with the same name; null selects all. */
  readonly id: string | null;
  /** Selects volumes whose removals have at least this age; 0 selects all. */
  readonly olderMs: number;
}

export interface FoundRemoved extends Found {
  readonly removal: Removal;
}

/**
 * Returns the removed volumes to delete for good, the earliest removal first (`ageOf`: RemovalAges), and the number left for another request. A client deletes
 * only volumes that it has created. Throws E_UNKNOWN_VOLUME if no volume with the given name can be deleted.
 */
export function decidePurge(
  { pools }: Catalogue,
  { volume, id, olderMs }: Purge,
  asker: Asker,
  ageOf: (pool: PoolState, removed: RemovedVolume) => number,
): { readonly chosen: readonly FoundRemoved[]; readonly left: number } {
  asker.needs('manage', 'delete removed volumes');
  const all = pools
    .flatMap((pool) => [...pool.removed.values()].map((one): FoundRemoved => ({ pool, ...one })))
    .filter(({ pool, manifest, removal }) => {
      const isNamed = volume === null || (manifest.name === volume.name && manifest.universe === volume.universe);
      const isOld = ageOf(pool, { manifest, removal }) >= olderMs;
      return (
        isNamed &&
        isOld &&
        (id === null || manifest.id === id) &&
        (asker.node === null || asker.role === 'admin' || manifest.owner === asker.node)
      );
    })
    .filter(({ pool, manifest }) => pool.trouble === null && !mayBeLeft(manifest, pools))
    .toSorted((a, b) => a.removal.removedMs - b.removal.removedMs);
  if (volume !== null && all.length === 0) {
    const text = volumeText(volume);
    const whose = asker.node === null || asker.role === 'admin' ? '' : ' that this client has created';
    throw new RsError('E_UNKNOWN_VOLUME', `No removed volume ${text}${whose} can be deleted: volume list --removed shows them`, {
      volume: text,
    });
  }
  return { chosen: all.slice(0, PURGED_AT_ONCE_MAX), left: Math.max(0, all.length - PURGED_AT_ONCE_MAX) };
}
