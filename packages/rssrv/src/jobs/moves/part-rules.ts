// Decides whether a file of a volume over several pools can be moved to another pool. This module is pure, and VolumeMoves moves the file.
// Invariant: the first file of a volume never moves, because the records of the parts in all pools name the home with the manifest.

import { RsError } from '@rsio/base/lib/errors';
import { snapshotsIn } from './move-rules.ts';
import type { Asker } from '../../pools/asker.ts';
import {
  type Catalogue,
  checkChange,
  checkNoShared,
  checkRoom,
  type Found,
  type PoolState,
  poolNamed,
  unusable,
  volumeText,
} from '../../pools/catalogue.ts';
import { type Manifest, otherParts, type Part } from '../../pools/disk/manifest.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { checkSourceMove } from '../../pools/source-marks.ts';
import { checkVerb } from '../../pools/verb-table.ts';

/** A file of a volume that is to be moved. */
export interface PlannedPartMove {
  readonly source: PoolState;
  readonly target: PoolState;
  /** Index of the file in the layout of the volume. */
  readonly index: number;
  readonly part: Part;
}

/** Returns the first file that the volume has in pool `from`. Throws if this file cannot move to pool `to`. */
export function decidePartMove(catalogue: Catalogue, home: Found, from: string, to: string, asker: Asker): PlannedPartMove {
  const { pool, manifest } = home;
  checkChange(catalogue, asker, pool, manifest, 'move volumes');
  for (const name of [from, to]) asker.checkPool(name);
  const [source, target] = [poolNamed(catalogue, from), poolNamed(catalogue, to)];
  const text = volumeText(manifest);
  if (source.name === target.name)
    throw new RsError('E_USAGE', `Files of volume ${text} cannot move from pool ${from} to the same pool: name another one`);
  for (const one of [source, target]) if (one.trouble !== null || one.identity === null) throw unusable(one);
  checkNoShared([target]);
  checkSourceMove(catalogue.pools, home, target, asker);
  const found = partIn(manifest, source.identity?.id ?? '');
  if (found === null) throw notThere(catalogue, home, source, target);
  checkVerb('move a file', home, { pools: catalogue.pools, asker });
  const ids = [found.part.fileId, ...snapshotParts(snapshotsIn(pool, manifest.id).list, found.index).map(({ part }) => part.fileId)];
  if (ids.some((id) => target.parts.has(id) || target.unreadable.has(id)))
    throw new RsError(
      'E_EXISTS',
      `Pool ${to} has files with the ids of those that move, because it was copied: see rsadm pool check ${to}`,
      {
        volume: text,
      },
    );
  checkRoom(target, found.part.sizeBytes, manifest.thick);
  return { source, target, ...found };
}

/**
 * Returns the first file that the volume has in this pool, not counting the first file of the volume. Returns null if there is no such
 * file.
 */
export function partIn({ layout }: Pick<Manifest, 'layout'>, poolId: string): Pick<PlannedPartMove, 'index' | 'part'> | null {
  const at = otherParts({ layout }).findIndex((part) => part.poolId === poolId);
  const part = otherParts({ layout })[at];
  return part === undefined ? null : { index: at + 1, part };
}

/** Returns the files of snapshots that are clones of the file with this index. */
export function snapshotParts(
  list: readonly SnapshotRecord[],
  index: number,
): readonly { readonly record: SnapshotRecord; readonly part: Part }[] {
  return list.flatMap((record) => {
    const part = record.layout === undefined ? undefined : otherParts({ layout: record.layout })[index - 1];
    return part === undefined ? [] : [{ record, part }];
  });
}

function notThere({ pools }: Catalogue, { pool: home, manifest }: Found, source: PoolState, target: PoolState): RsError {
  const text = volumeText(manifest);
  if (source.name === home.name)
    return new RsError(
      'E_USAGE',
      `Pool ${home.name} is the home of volume ${text}, so that its first file stays there: volume copy ${text} NEW --pool ${target.name} makes a volume of one file`,
      { volume: text },
    );
  const names = otherParts(manifest).map(({ poolId }) => pools.find(({ identity }) => identity?.id === poolId)?.name ?? `id ${poolId}`);
  return new RsError(
    'E_USAGE',
    `Volume ${text} has no file in pool ${source.name}: files that can be moved are in ${[...new Set(names)].join(', ')}`,
    { volume: text },
  );
}
