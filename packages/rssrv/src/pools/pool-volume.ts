// The configuration that a manifest amounts to. With it, the listener opens, serves and reloads a volume of a pool exactly like a volume of
// a section [volume]. Pure. Invariant: two different volumes of the pools never have the same data file.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { PoolState } from './catalogue.ts';
import type { Manifest } from './disk/manifest.ts';
import { poolPaths } from './disk/pool-files.ts';

export function volumeConfigOf(pool: Pick<PoolState, 'name' | 'path'>, manifest: Manifest): ServerVolumeConfig {
  const { id, name, universe, sizeBytes, blockSizeBytes, readonly, shared, clients, takeOver, takeOverForce } = manifest;
  return {
    name,
    universe,
    type: 'file',
    path: poolPaths.data(poolPaths.volume(pool.path, id)),
    sizeBytes,
    blockSizeBytes,
    readonly,
    shared,
    clients,
    takeOver,
    takeOverForce,
    id,
    sameContent: null,
    line: 0,
    pool: { name: pool.name, stamp: manifest.stamps[0] ?? null },
  };
}

/** The volumes of the open pools, in the order of the pools and then by name. */
export function volumeConfigsOf(pools: readonly PoolState[]): ServerVolumeConfig[] {
  return pools
    .filter(({ isOpen }) => isOpen)
    .flatMap((pool) =>
      [...pool.volumes.values()]
        .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.universe - b.universe))
        .map((manifest) => volumeConfigOf(pool, manifest)),
    );
}
