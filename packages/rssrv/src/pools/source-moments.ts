// The moments of a replication: groups of snapshots, one of each member. Pure. Invariants: a moment is complete, so that it has a snapshot of
// every member that is known. Moments are in the order in which they were made, whatever the clocks said. A moment that the other server
// has confirmed, and each later one, is needed for its next copy. Rules: T1, T6.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import { type Found, type PoolState, volumeText } from './catalogue.ts';
import { MOMENTS_UNCONFIRMED_MAX } from './limits.ts';
import { momentIdOf } from './mirror-sources.ts';
import { isReadable, madeMs, type SnapshotRecord } from './snapshots/snapshot-record.ts';
import { endText, homeAway, type Replication, replicationOf } from './source-marks.ts';

export interface Moment {
  readonly group: string;
  readonly momentMs: number;
  /** In the order of the members. */
  readonly snapshots: readonly SnapshotRecord[];
}

export interface MemberSnapshot extends Found {
  readonly record: SnapshotRecord;
}

/**
 * Returns the moments of the members in open pools, the oldest first. If a member was a follower, the moments that it got then count too,
 * because the other server may still have their originals. So do moments of an earlier replication, of these volumes and perhaps others, with
 * which its followers go on (T8).
 */
export function momentsOf({ members }: Pick<Replication, 'members'>): readonly Moment[] {
  const [home, ...others] = members.map((member) => {
    const list = snapshotsOf(member).filter((one) => isReadable(one) && (one.replication ?? one.origin) !== undefined);
    return new Map(list.map((one) => [momentIdOf(one), one]));
  });
  return [...(home ?? [])].flatMap(([group, first]) => {
    const rest = others.flatMap((its) => its.get(group) ?? []);
    return rest.length < others.length ? [] : { group, momentMs: madeMs(first), snapshots: [first, ...rest] };
  });
}

/**
 * Returns the snapshots of earlier moments that are not kept any more, the oldest first. Snapshots that belong to no complete moment count
 * too. Snapshots that the replication has not made are never returned.
 */
export function excessOf(replication: Replication): readonly MemberSnapshot[] {
  const { id, order, members, memberIds } = replication;
  const { confirmed, keep } = order;
  if (confirmed === null || members.length < memberIds.length) return [];
  const moments = momentsOf(replication);
  const at = moments.findIndex(({ group }) => group === confirmed.group);
  if (at < 0) return [];
  const kept = new Set(moments.slice(Math.max(0, at + 1 - keep)).map(({ group }) => group));
  return members
    .flatMap((member) => snapshotsOf(member).map((record) => ({ ...member, record })))
    .filter(({ record }) => record.replication === id && record.origin === undefined)
    .filter(({ manifest, record }) => {
      const last = moments[at]?.snapshots.find(({ volumeId }) => volumeId === manifest.id);
      return last !== undefined && record.createdMs < last.createdMs && !kept.has(momentIdOf(record));
    })
    .toSorted((a, b) => a.record.createdMs - b.record.createdMs);
}

/** T8: returns true if the snapshot is of a complete moment of a replication to this client. */
export function isMomentFor(pools: readonly PoolState[], client: string, record: Pick<SnapshotRecord, 'id' | 'volumeId'>): boolean {
  const manifest = pools.flatMap(({ volumes }) => volumes.get(record.volumeId) ?? [])[0];
  const replication = manifest === undefined ? null : replicationOf(pools, manifest);
  if (replication === null || replication === 'unknown' || replication.order.to !== client) return false;
  return momentsOf(replication).some(({ snapshots }) => snapshots.some(({ id }) => id === record.id));
}

/** True if a volume of these pools is replicated to this client. */
export function isTarget(pools: readonly PoolState[], client: string): boolean {
  return pools.some(({ volumes }) => [...volumes.values()].some(({ replication }) => replication?.order?.to === client));
}

/** Throws E_BUSY if as many moments as allowed are not confirmed. */
export function checkUnconfirmed(replication: Replication): void {
  const moments = momentsOf(replication);
  const at = placeOf(replication, moments);
  const unconfirmed = moments.slice(at + 1).filter(({ snapshots }) => snapshots.every((one) => one.replication === replication.id));
  if (unconfirmed.length >= MOMENTS_UNCONFIRMED_MAX)
    throw new RsError('E_BUSY', `The last ${unconfirmed.length} moments are not confirmed: copy and confirm the newest one first`);
}

/** The other server needs the moment that was confirmed, and each later one, for its next copy. */
export function sourceNeed(
  pools: readonly PoolState[],
  { manifest, record }: MemberSnapshot,
  asker: Asker,
): { readonly code: ErrorCode; readonly text: string } | null {
  const replication = replicationOf(pools, manifest);
  // A copy that the volume got as a follower may be the moment that was confirmed last.
  if (replication === 'unknown' && (record.replication === manifest.replication?.id || record.origin !== undefined))
    return { code: 'E_POOL', text: homeAway(pools, manifest).message };
  if (replication === null || replication === 'unknown') return null;
  const { to } = replication.order;
  const moments = momentsOf(replication);
  const index = moments.findIndex(({ snapshots }) => snapshots.some(({ id }) => id === record.id));
  if (index < Math.max(0, placeOf(replication, moments))) return null;
  const text = `${volumeText(manifest)}@${record.name}`;
  return {
    code: 'E_USAGE',
    text: `Snapshot ${text} is a moment that client ${to} needs for its next copy: remove it when ${to} has a later one, or ${endText(replication, asker)}`,
  };
}

/** Returns the index of the moment that was confirmed last; -1 if there is none. */
function placeOf({ order: { confirmed } }: Pick<Replication, 'order'>, moments: readonly Moment[]): number {
  return moments.findIndex(({ group }) => group === confirmed?.group);
}

function snapshotsOf({ pool, manifest: { id } }: Found): readonly SnapshotRecord[] {
  return pool.snapshots.get(id)?.list ?? [];
}
