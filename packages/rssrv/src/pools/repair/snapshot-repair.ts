// Commits or deletes prepared snapshots. The snapshot in the home of the group decides. For a snapshot that a rollback makes, the
// manifest of the volume decides. `isToExist` is pure, and `settleSnapshots` executes its decisions. Invariants: either all snapshots of
// a group exist, or none. While the deciding file cannot be read, a prepared snapshot does not change. Rules: P2.

import { assert } from '@rsio/base/lib/assert';
import { VersionedMap } from '@rsio/base/structures/versioned-map';
import { poolPaths } from '../disk/pool-paths.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import type { SnapshotRecord, SnapshotRemoval } from '../snapshots/snapshot-record.ts';
import { byTime, NO_SNAPSHOTS, type VolumeSnapshots } from '../snapshots/snapshot-scan.ts';
import type { Perform, RepairedPool, SnapshotPool } from './repaired-pool.ts';

/** Returns true if the prepared snapshot must be committed, false if it must be deleted, and null if the deciding file cannot be read. */
export function isToExist(pool: SnapshotPool, record: SnapshotRecord, pools: readonly SnapshotPool[]): boolean | null {
  const { rollback, volumeId, group } = record;
  if (rollback !== null) {
    const manifest = pool.volumes.get(volumeId) ?? pool.removed.get(volumeId)?.manifest;
    return manifest === undefined ? null : manifest.stamps[0] === rollback;
  }
  const home = homeOf(group, pools);
  if (home === undefined || home.trouble !== null || home.unreadable.has(group.volumeId)) return null;
  const { list, hasUnreadable } = home.snapshots.get(group.volumeId) ?? NO_SNAPSHOTS;
  const isMade = list.some((one) => one.group.id === group.id);
  return !isMade && hasUnreadable ? null : isMade;
}

/**
 * Returns the pool with the home of a group. The volume of the home may have moved to another pool since the group was made.
 */
function homeOf({ poolId, volumeId }: SnapshotRecord['group'], pools: readonly SnapshotPool[]): SnapshotPool | undefined {
  const known = pools.filter(({ isOpen, identity }) => isOpen && identity !== null);
  const there = known.find(({ volumes, removed }) => volumes.has(volumeId) || removed.has(volumeId));
  // If a pool is not open, the result is unknown, because the volume may be in that pool.
  return there ?? (known.length < pools.length ? undefined : known.find(({ identity }) => identity?.id === poolId));
}

/** Returns texts about prepared snapshots that cannot be settled, because the home of their group cannot be read. */
export function pendingFindings(pool: SnapshotPool, pools: readonly SnapshotPool[]): string[] {
  return [...pool.snapshots.values()].flatMap(({ pending }) =>
    pending
      .filter((record) => isToExist(pool, record, pools) === null)
      .map(
        ({ name, volumeId, group }) =>
          `Snapshot ${name} of volume id ${volumeId} belongs to a group of pool id ${group.poolId}, which cannot tell whether it exists: mount that pool, and check it`,
      ),
  );
}

/** Settles the prepared snapshots in all pools. */
export async function settleSnapshots<State extends SnapshotPool, Pool extends RepairedPool<State>>(
  pools: readonly Pool[],
  perform: Perform<Pool>,
): Promise<void> {
  for (const pool of pools) {
    for (const [volumeId, { pending }] of pool.state.snapshots) {
      for (const record of pending) {
        if (!pool.state.isOpen || pool.state.trouble !== null) break;
        const states = pools.map(({ state }) => state);
        const exists = isToExist(pool.state, record, states);
        if (exists === null) continue;
        const { path, volumes } = pool.state;
        const folder = volumes.has(volumeId) ? poolPaths.volume(path, volumeId) : poolPaths.removedVolume(path, volumeId);
        const isDone = await perform(pool, (files) => {
          const snapshots = new SnapshotFiles(files);
          return exists ? snapshots.commit(record.name, folder) : snapshots.undo(folder, record.name);
        });
        if (isDone) pool.state = { ...pool.state, snapshots: settled(pool.state.snapshots, record, exists) };
      }
    }
  }
}

function settled(all: SnapshotPool['snapshots'], record: SnapshotRecord, exists: boolean): SnapshotPool['snapshots'] {
  const now = all.get(record.volumeId) ?? NO_SNAPSHOTS;
  return VersionedMap.of(all).with(record.volumeId, exists ? withSnapshot(now, record) : withoutPending(now, record));
}

/**
 * Checks a change of the snapshots of a volume: it makes no snapshot count twice. A person may have copied the folder of a snapshot, so that
 * the pool had two with one id before.
 */
export function checkSnapshots(before: VolumeSnapshots, after: VolumeSnapshots): void {
  const doubles = ({ list, pending, making }: VolumeSnapshots): number => {
    const all = [...list, ...pending, ...making];
    return all.length - new Set(all.map(({ id }) => id)).size;
  };
  assert(doubles(after) <= doubles(before), 'A snapshot is in two states at once');
}

/** Adds `record` to the prepared snapshots, and removes it from the snapshots that are being made. */
export function withPending(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  const { pending, ...others } = withoutMaking(snapshots, record);
  return { ...others, pending: [...pending.filter(({ id }) => id !== record.id), record] };
}

/** Adds a snapshot that is being made in the background, so that `settleSnapshots` does not change it. */
export function withMaking(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  return { ...snapshots, making: [...snapshots.making, record] };
}

export function withoutMaking(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  return { ...snapshots, making: snapshots.making.filter(({ id }) => id !== record.id) };
}

export function withoutSnapshot(snapshots: VolumeSnapshots, removal: SnapshotRemoval): VolumeSnapshots {
  return { ...snapshots, list: snapshots.list.filter(({ id }) => id !== removal.id), removal };
}

function withoutPending(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  return { ...snapshots, pending: snapshots.pending.filter(({ id }) => id !== record.id) };
}

export function withSnapshot(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  const { list, ...others } = withoutPending(snapshots, record);
  return { ...others, list: [...list, record].toSorted(byTime) };
}
