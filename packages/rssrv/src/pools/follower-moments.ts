// The snapshots of a follower that are moments of its source (snapshot-needs.ts: which of them may be the only copy). Pure. Invariant: a moment belongs to the
// replication that the follower has now, and came after it began to follow; only its base is older. Snapshots are in the order in which
// this server made them, whatever the clocks said. Rules: T4, T6.

import type { FollowerMark } from './disk/manifest.ts';
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

/**
 * T4: returns the moments that their mirror did not know when a later one came, each with that later one, which names the first of them. All
 * of them stay until a person has removed that first one.
 */
export function unknownIn<T extends Pick<SnapshotRecord, 'id' | 'group' | 'origin' | 'moment'>>(
  moments: readonly T[],
): readonly { readonly kept: T; readonly later: T }[] {
  return moments.flatMap((later) => {
    const group = later.origin?.unknown;
    const first = group === undefined ? -1 : moments.findIndex((one) => momentIdOf(one) === group);
    return first < 0 ? [] : moments.slice(first, moments.indexOf(later)).map((kept) => ({ kept, later }));
  });
}

/** Returns the groups of the moments that all of these volumes have, the oldest first. */
export function commonMoments(all: readonly (readonly Pick<SnapshotRecord, 'id' | 'group' | 'origin' | 'moment'>[])[]): readonly string[] {
  const [first, ...others] = all.map((moments) => moments.map((one) => momentIdOf(one)));
  return first === undefined ? [] : first.filter((group) => others.every((groups) => groups.includes(group)));
}
