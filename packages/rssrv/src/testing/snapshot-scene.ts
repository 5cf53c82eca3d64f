// A volume of a pool with snapshots that have descriptions but no files, for tests of the views that clients get. The scene has no
// sessions: the test states which clients hold or have opened which snapshot.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import type { Holder } from '@rsio/protocol/wire/messages';
import { volumeConfigsOf } from '../pools/pool-volume.ts';
import type { SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { withSnapshot } from '../pools/repair/snapshot-repair.ts';
import { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { scenes } from './pool-directory.ts';
import { PoolScene } from './pool-scene.ts';

export const SNAPSHOT_HOLDER: Holder = { node: 'big-2', address: '127.45.0.2', sinceMs: 1 };

/** Returns a scene with volume db, which has snapshots of these names, the oldest first. usePoolDirectory closes the pools. */
export async function snapshotScene(directory: string, names: readonly string[], clients: readonly string[] | null = null) {
  const pools = await PoolScene.open(directory, { clock: systemClock });
  scenes.push(pools);
  const { manifest } = await pools.create({ clients });
  const { id: volumeId, sizeBytes, blockSizeBytes } = manifest;
  const records = names.map((name, index): SnapshotRecord => {
    const group = { id: crypto.randomUUID(), poolId: crypto.randomUUID(), volumeId };
    const base = { volumeId, sizeBytes, blockSizeBytes, createdMs: index + 1, creator: null, group, rollback: null, request: null };
    return { ...base, id: crypto.randomUUID(), name };
  });
  for (const one of records) pools.pools.putSnapshots('fast', volumeId, (before) => withSnapshot(before, one));
  const [held, copying] = [new Set<string>(), new Set<string>()];
  /** Snapshots that a session has open, as `id node`. */
  const open = new Set<string>();
  const opening: (Holder & { id: string })[] = [];
  let volumes: readonly ServerVolumeConfig[] = volumeConfigsOf(pools.pools.states);
  const snapshots = new ServedSnapshots({
    pools: pools.pools,
    holds: { holdersOf: (id) => (held.has(id) ? [SNAPSHOT_HOLDER] : []) },
    volumes: () => volumes,
    isCopying: (node) => copying.has(node),
    opening: () => opening,
    isOpen: (id, node) => open.has(`${id} ${node}`),
  });
  return { pools, manifest, records, held, copying, opening, open, snapshots, unserve: () => (volumes = []) };
}
