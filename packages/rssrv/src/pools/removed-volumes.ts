// Decides about removed volumes: when one was removed, which one comes back, and which ones are deleted for good before their time. Pure.
// Invariants: of several removed volumes with one name, the one that was removed last has the latest time, although the clock of the server
// may be set back; a client deletes for good only what it has created.

import { RsError } from '@rsio/common/lib/errors';
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
import { PURGED_AT_ONCE_MAX } from './limits.ts';
import { mayBeLeft } from './repair/move-repair.ts';

/**
 * Returns the time to record for a removal: now, and later than that of every removed volume of this name, even after the clock was set back.
 * Otherwise `decideRestore` would bring back another volume.
 */
export function removalMs({ pools }: Catalogue, { name, universe }: VolumeName, nowMs: number): number {
  let latestMs = nowMs - 1;
  for (const { removed } of pools)
    for (const { manifest, removal } of removed.values())
      if (manifest.name === name && manifest.universe === universe) latestMs = Math.max(latestMs, removal.removedMs);
  return latestMs + 1;
}

/** Returns the removed volume with this name, the one that was removed last. Throws E_UNKNOWN_VOLUME. */
export function decideRestore(
  catalogue: Catalogue,
  wanted: VolumeName,
  asker: Asker,
  request: string | null,
): { readonly pool: PoolState; readonly manifest: Manifest } {
  asker.needs('manage', 'restore volumes');
  const candidates = catalogue.pools.flatMap((pool) =>
    [...pool.removed.values()]
      .filter(
        ({ manifest: { name, universe, clients } }) => name === wanted.name && universe === wanted.universe && asker.mayAttach(clients),
      )
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
  if (pool.trouble !== null) throw unusable(pool);
  checkName(catalogue, wanted, null, 'rename that one first');
  asker.checkOwner(manifest);
  // A removed volume counts already, for its owner and for its pools.
  for (const { pool: other } of partsOf(catalogue, manifest)) if (other.trouble !== null) throw unusable(other);
  return { pool, manifest: { ...manifest, request } };
}

/** Which removed volumes are to be deleted for good. */
export interface Purge {
  /** Null: all. */
  readonly volume: VolumeName | null;
  /** Only this one; null: all. Several may have one name. */
  readonly id: string | null;
  /** Only those that were removed so long ago; 0: all. */
  readonly olderMs: number;
}

export interface FoundRemoved extends Found {
  readonly removal: Removal;
}

/**
 * Returns the removed volumes to delete for good, those first that were removed first, and how many are left for another request. A client
 * deletes only what it has created. Throws E_UNKNOWN_VOLUME if the named volume is not among them.
 */
export function decidePurge(
  { pools }: Catalogue,
  { volume, id, olderMs }: Purge,
  asker: Asker,
  nowMs: number,
): { readonly chosen: readonly FoundRemoved[]; readonly left: number } {
  asker.needs('manage', 'delete removed volumes');
  const all = pools
    .flatMap((pool) => [...pool.removed.values()].map((one): FoundRemoved => ({ pool, ...one })))
    .filter(({ manifest, removal }) => {
      const isNamed = volume === null || (manifest.name === volume.name && manifest.universe === volume.universe);
      // After the clock was set back, a volume may have been removed later than now.
      const isOld = olderMs === 0 || nowMs - removal.removedMs >= olderMs;
      return isNamed && isOld && (id === null || manifest.id === id) && (asker.role === 'admin' || manifest.owner === asker.node);
    })
    .filter(({ pool, manifest }) => pool.trouble === null && !mayBeLeft(manifest, pools))
    .toSorted((a, b) => a.removal.removedMs - b.removal.removedMs);
  if (volume !== null && all.length === 0) {
    const text = volumeText(volume);
    const whose = asker.role === 'admin' ? '' : ' that this client has created';
    throw new RsError('E_UNKNOWN_VOLUME', `No removed volume ${text}${whose} can be deleted: volume list --removed shows them`, {
      volume: text,
    });
  }
  return { chosen: all.slice(0, PURGED_AT_ONCE_MAX), left: Math.max(0, all.length - PURGED_AT_ONCE_MAX) };
}
