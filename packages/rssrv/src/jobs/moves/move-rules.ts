// Decides whether a volume can be moved to another pool. This module is pure, and volume-moves.ts makes the move. Invariant: all checks of
// the request are repeated before the last step.

import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from '../../pools/asker.ts';
import { checkClones } from '../clone-need.ts';
import {
  type Catalogue,
  checkChange,
  checkRoom,
  type Found,
  type PoolState,
  poolNamed,
  unusable,
  volumeText,
} from '../../pools/catalogue.ts';
import { checkSourceMove } from '../../pools/source-marks.ts';
import { checkVerb } from '../../pools/verb-table.ts';
import { NO_SNAPSHOTS, type VolumeSnapshots } from '../../pools/snapshots/snapshot-scan.ts';

/** Returns the pool to which the volume moves. Throws if the volume cannot move to this pool. */
export function decideMove(catalogue: Catalogue, { pool, manifest }: Found, to: string, asker: Asker): PoolState {
  checkChange(catalogue, asker, pool, manifest, 'move volumes');
  checkVerb('move', { pool, manifest }, { pools: catalogue.pools, asker });
  asker.checkPool(to);
  const target = poolNamed(catalogue, to);
  const text = volumeText(manifest);
  if (target.name === pool.name)
    throw new RsError('E_USAGE', `Volume ${text} is already in pool ${to}: name another pool`, { volume: text });
  if (target.trouble !== null || target.identity === null) throw unusable(target);
  checkSourceMove(catalogue.pools, { pool, manifest }, target, asker);
  checkClones(catalogue, { pool, manifest }, 'moved');
  if (target.hasReflink === false && snapshotsIn(pool, manifest.id).list.length > 0)
    throw new RsError(
      'E_NO_REFLINK',
      `Volume ${text} has snapshots, which pool ${to} cannot have, because its file system has no reflink: name a pool on XFS or btrfs, or ` +
        `remove the snapshots first (volume remove ${text}@SNAPSHOT)`,
      { volume: text, pool: to },
    );
  if (target.removed.has(manifest.id) || target.volumes.has(manifest.id) || target.unreadable.has(manifest.id))
    throw new RsError(
      'E_EXISTS',
      `Pool ${to} has a volume with the id of volume ${text}, because it was copied: see rsadm pool check ${to}`,
      {
        volume: text,
      },
    );
  checkRoom(target, manifest.sizeBytes, manifest.thick);
  return target;
}

export function snapshotsIn(pool: PoolState, volumeId: string): VolumeSnapshots {
  return pool.snapshots.get(volumeId) ?? NO_SNAPSHOTS;
}
