// Decides whether a volume can be moved to another pool. This module is pure, and volume-moves.ts makes the move. Invariant: all checks of
// the request are repeated before the last step.

import { RsError } from '@rsio/common/lib/errors';
import type { Asker } from '../../pools/asker.ts';
import {
  type Catalogue,
  checkChange,
  checkNotBusy,
  checkRoom,
  type Found,
  type PoolState,
  poolNamed,
  unusable,
  volumeText,
} from '../../pools/catalogue.ts';
import { checkNotRefreshing } from '../../pools/repair/image-repair.ts';
import { checkNoFollower } from '../../pools/follower-rules.ts';
import { checkNoReplica } from '../../pools/replica-rules.ts';
import { checkSourceMove } from '../../pools/source-marks.ts';
import { mayBeLeft } from '../../pools/repair/move-repair.ts';
import { NO_SNAPSHOTS, type VolumeSnapshots } from '../../pools/snapshots/snapshot-scan.ts';

/** Returns the pool to which the volume moves. Throws if the volume cannot move to this pool. */
export function decideMove(catalogue: Catalogue, { pool, manifest }: Found, to: string, asker: Asker): PoolState {
  checkChange(catalogue, asker, pool, manifest, 'move volumes');
  checkNoReplica(manifest, 'move');
  checkNoFollower(manifest, 'move');
  checkNotRefreshing(manifest);
  asker.checkPool(to);
  const target = poolNamed(catalogue, to);
  const text = volumeText(manifest);
  if (target.name === pool.name)
    throw new RsError('E_USAGE', `Volume ${text} is already in pool ${to}: name another pool`, { volume: text });
  if (target.trouble !== null || target.identity === null) throw unusable(target);
  checkSourceMove(catalogue.pools, { pool, manifest }, target, asker);
  if (manifest.layout.kind !== 'simple')
    throw new RsError(
      'E_USAGE',
      `Volume ${text} has several files (${manifest.layout.kind}): give --from Q for the pool whose files of it move; its first file stays in pool ${pool.name}`,
      { volume: text },
    );
  // The pool that the volume came from in an earlier move may still have the old files. When that pool is opened, the server deletes these
  // files only if it finds the volume in the current pool. If the volume had already left its current pool, the server would not find the
  // volume there, and would serve the old files.
  if (mayBeLeft(manifest, catalogue.pools))
    throw new RsError(
      'E_BUSY',
      `Volume ${text} was moved from pool id ${manifest.movedFrom ?? ''}, which may still have it: mount that pool, then run rsadm reload`,
      { volume: text },
    );
  checkNotBusy({ pool, manifest });
  if (snapshotsIn(pool, manifest.id).pending.length > 0)
    throw new RsError('E_BUSY', `A snapshot of volume ${text} is not finished, because another pool is absent: see rsadm pool check`, {
      volume: text,
    });
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
