// Settles prepared snapshots: whether one exists is decided by the home of its group, or by the manifest of a volume that was rolled back.
// planSnapshots is pure, and settleSnapshots carries its decisions out. Invariants: the snapshots of a group exist all of them or none;
// while the file that decides cannot be read, nothing happens to a prepared snapshot.

import type { Manifest } from '../disk/manifest.ts';
import type { PoolFiles } from '../disk/pool-files.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import type { SnapshotRecord, SnapshotRemoval } from '../snapshots/snapshot-record.ts';
import { byTime, NO_SNAPSHOTS, type VolumeSnapshots } from '../snapshots/snapshot-scan.ts';

/** What the plan needs to know of a pool (see PoolState in catalogue.ts). */
export interface SnapshotPool {
  readonly name: string;
  readonly path: string;
  readonly identity: { readonly id: string } | null;
  readonly isOpen: boolean;
  readonly trouble: string | null;
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
  readonly unreadable: ReadonlySet<string>;
}

/** Returns true if the snapshot is to exist, false if it is not, and null if that is not known yet. */
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

/** The pool that has the home of a group. The volume may have moved there since. */
function homeOf({ poolId, volumeId }: SnapshotRecord['group'], pools: readonly SnapshotPool[]): SnapshotPool | undefined {
  const known = pools.filter(({ isOpen, identity }) => isOpen && identity !== null);
  const there = known.find(({ volumes, removed }) => volumes.has(volumeId) || removed.has(volumeId));
  // A pool that is not open may have it.
  return there ?? (known.length < pools.length ? undefined : known.find(({ identity }) => identity?.id === poolId));
}

/** Texts about prepared snapshots that stay as they are, because the pool of their group is not open. */
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

/** `perform` executes the work. If it returns false, the work has failed, and the pool has a trouble. */
export async function settleSnapshots<State extends SnapshotPool, Pool extends { state: State; readonly files: PoolFiles }>(
  pools: readonly Pool[],
  perform: (pool: Pool, work: (files: PoolFiles) => Promise<void>) => Promise<boolean>,
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
  return new Map(all).set(record.volumeId, exists ? withSnapshot(now, record) : withoutPending(now, record));
}

/** `record`: of a prepared snapshot, or one that is no longer being made. */
export function withPending(snapshots: VolumeSnapshots, record: SnapshotRecord): VolumeSnapshots {
  const { pending, ...others } = withoutMaking(snapshots, record);
  return { ...others, pending: [...pending.filter(({ id }) => id !== record.id), record] };
}

/** While a snapshot is being made in the background, nothing settles it. */
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
