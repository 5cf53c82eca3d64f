// The snapshots of a follower that are moments of its source, and which of them may be the only copy. Pure. Invariant: a moment belongs to the
// replication that the follower has now, and came after it began to follow; only its base is older. Snapshots are in the order in which
// this server made them, whatever the clocks said. Rules: T4, T6.

import { RsError } from '@rsio/common/lib/errors';
import type { Found, PoolState } from './catalogue.ts';
import { volumeText } from './catalogue.ts';
import type { FollowerMark } from './disk/manifest.ts';
import { following } from './follower-rules.ts';
import { momentIdOf } from './mirror-sources.ts';
import type { SnapshotRecord } from './snapshots/snapshot-record.ts';

/** The part of the mark of a follower that says which snapshots are moments. */
export type MomentMark = Pick<FollowerMark, 'replication' | 'base' | 'after'>;

/** Returns the snapshots of a follower, or of a promoted one, that are moments of its source, the oldest first. */
export function momentsIn<T extends Pick<SnapshotRecord, 'id' | 'group' | 'origin' | 'moment' | 'replication' | 'createdMs'>>(
  { replication, base, after = -1 }: MomentMark,
  list: readonly T[],
): readonly T[] {
  return list.filter((one) => {
    if (base !== undefined && momentIdOf(one) === base) return true;
    return one.origin !== undefined && one.replication === replication && one.createdMs > after;
  });
}

/** Returns the groups of the moments that all of these volumes have, the oldest first. */
export function commonMoments(all: readonly (readonly Pick<SnapshotRecord, 'id' | 'group' | 'origin' | 'moment'>[])[]): readonly string[] {
  const [first, ...others] = all.map((moments) => moments.map((one) => momentIdOf(one)));
  return first === undefined ? [] : first.filter((group) => others.every((groups) => groups.includes(group)));
}

/** Throws E_USAGE if the snapshot is the newest moment that all followers of its replication have, or a later one. */
export function checkNotOnlyCopy(pools: readonly PoolState[], { manifest }: Found, record: SnapshotRecord): void {
  const mark = following(manifest);
  if (mark === null) return;
  const all = pools.flatMap((pool) =>
    [...pool.volumes.values()].flatMap(({ id, follower }) =>
      follower?.replication === mark.replication ? [momentsIn(follower, pool.snapshots.get(id)?.list ?? [])] : [],
    ),
  );
  const own = momentsIn(
    mark,
    pools.flatMap((pool) => pool.snapshots.get(manifest.id)?.list ?? []),
  );
  const newest = commonMoments(all).at(-1);
  // Without a moment in common, each one may become the first.
  const from = newest === undefined ? 0 : own.findIndex((one) => momentIdOf(one) === newest);
  if (!own.slice(from).some(({ id }) => id === record.id)) return;
  const [text, name] = [volumeText(manifest), `${volumeText(manifest)}@${record.name}`];
  throw new RsError(
    'E_USAGE',
    `Snapshot ${name} is the newest moment of a follower, and may be the only copy of its content: wait for a later one, or rsadm volume promote ${text} first makes it an ordinary volume`,
    { snapshot: name },
  );
}
