// What counts towards the limits of clients: the sizes of the volumes that they have created, and what their snapshots took when they were
// made, which is the most that a snapshot can ever take alone. A removed volume counts until it is deleted for good, because it takes its
// space until then. Pure. Invariant: nothing that other clients do changes what a client has.

import { type Manifest, partSizes } from '../disk/manifest.ts';
import { filesOf, type SnapshotRecord } from './snapshot-record.ts';
import { NO_SNAPSHOTS, type VolumeSnapshots } from './snapshot-scan.ts';

interface OwnedPool {
  readonly volumes: ReadonlyMap<string, Manifest>;
  readonly removed: ReadonlyMap<string, { readonly manifest: Manifest }>;
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
}

/** Client -> bytes that count towards its limit. */
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

/** The client that made it. One of a schedule counts towards the limit of the owner of the volume, because clients set schedules. */
function chargedTo({ creator, schedule }: SnapshotRecord, owner: string | null): string | null {
  return schedule === undefined ? creator : owner;
}

/** Number of snapshots of all volumes, also of removed ones. `node`: only those that count for this client. */
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
