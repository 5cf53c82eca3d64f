// Computes the bytes that count towards the limits of clients: the sizes of the volumes that they have created, and the bytes that their
// snapshots occupied when they were made. A snapshot never occupies more bytes later. A removed volume counts until it is deleted for
// good, because it occupies its space until the deletion. Pure. Invariant: actions of other clients do not change the bytes of a client.

import { type Manifest, partSizes } from '../disk/manifest.ts';
import { filesOf, type SnapshotRecord } from './snapshot-record.ts';
import { NO_SNAPSHOTS, type VolumeSnapshots } from './snapshot-scan.ts';

interface OwnedPool {
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
}

/** Maps each client to the bytes that count towards its limit. */
export function ownedByNode(pools: readonly OwnedPool[]): ReadonlyMap<string, number> {
  const owned = new Map<string, number>();
  const add = (node: string | null, bytes: number): void => {
    if (node !== null) owned.set(node, (owned.get(node) ?? 0) + bytes);
  };
  for (const { volumes, removed, snapshots } of pools) {
    for (const manifest of [...volumes.values(), ...[...removed.values()].map((one) => one.manifest)]) {
      add(manifest.owner, sumOf(partSizes(manifest)));
      const { list, making } = snapshots.get(manifest.id) ?? NO_SNAPSHOTS;
      for (const one of [...list, ...making]) add(chargedTo(one, manifest.owner), countedBytes(one));
    }
  }
  return owned;
}

/** Returns the client towards whose limit a snapshot counts. */
function chargedTo(snapshot: SnapshotRecord, owner: string | null): string | null {
  return isForOwner(snapshot) ? owner : snapshot.creator;
}

/**
 * Returns true if a snapshot counts for the owner of the volume, and false if it counts for the client that made it. Snapshots of schedules
 * and replications count for the owner, because a client could otherwise exceed its limit with them.
 */
export function isForOwner({ schedule, replication }: { readonly schedule?: string; readonly replication?: string }): boolean {
  return schedule !== undefined || replication !== undefined;
}

/**
 * Returns the number of snapshots of all volumes, including removed volumes. If `node` is not null, only the snapshots that count for
 * this client.
 */
export function countSnapshots(pools: readonly OwnedPool[], node: string | null): number {
  let count = 0;
  for (const { volumes, removed, snapshots } of pools)
    for (const [id, { list, making }] of snapshots) {
      if (node === null) count += list.length + making.length;
      else {
        const owner = (volumes.get(id) ?? removed.get(id)?.manifest)?.owner ?? null;
        for (const one of [...list, ...making]) if (chargedTo(one, owner) === node) count++;
      }
    }
  return count;
}

function countedBytes(record: SnapshotRecord): number {
  return record.usedBytes ?? sumOf(partSizes(filesOf(record)));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}
