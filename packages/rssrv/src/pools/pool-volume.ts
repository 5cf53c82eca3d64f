// Converts a manifest to the configuration of a volume, so that the listener opens, serves and reloads pool volumes exactly like those of
// sections [volume]. Pure. Invariant: two different volumes of the pools never have the same data file.

import type { PartConfig, ServerVolumeConfig, VolumeLayout } from '@rsio/common/config/schema/types';
import type { PoolState } from './catalogue.ts';
import { type Manifest, otherParts, partSizes } from './disk/manifest.ts';
import { poolPaths } from './disk/pool-paths.ts';
import { closedFor } from './follower-rules.ts';
import { REFRESH_TEXT } from './repair/image-repair.ts';

/** Returns the configuration of a volume. `pools`: all pools of the server, because the volume may have files outside its home. */
export function volumeConfigOf(
  pool: Pick<PoolState, 'name' | 'path' | 'identity' | 'ownership'>,
  manifest: Manifest,
  pools: readonly PoolState[],
): ServerVolumeConfig {
  const { id, name, universe, sizeBytes, blockSizeBytes, readonly, shared, clients, takeOver, takeOverForce, limits } = manifest;
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
    ...(limits === undefined ? {} : { limits }),
    line: 0,
    pool: {
      name: pool.name,
      stamp: manifest.stamps[0] ?? null,
      ids: poolIds(pool, manifest),
      isThick: manifest.thick,
      ...(pool.ownership === null ? {} : { ownership: pool.ownership }),
      ...(manifest.movedTo === undefined ? {} : { trouble: movedText(manifest.movedTo, pools) }),
      ...(manifest.replica === undefined
        ? {}
        : { replica: { ...manifest.replica, mapPath: poolPaths.map(poolPaths.volume(pool.path, id)) } }),
      ...followsOf(manifest),
      ...(manifest.image?.next === undefined ? {} : { trouble: REFRESH_TEXT }),
    },
    ...layoutOf(pool, manifest, pools),
  };
}

function followsOf(manifest: Manifest): { readonly follows?: { readonly server: string; readonly why: string } } {
  const closed = closedFor(manifest);
  return closed === null ? {} : { follows: closed };
}

function poolIds({ identity }: Pick<PoolState, 'identity'>, { layout }: Manifest): string[] {
  const own = identity === null ? [] : [identity.id];
  return layout.kind === 'simple' ? own : [...new Set([...own, ...layout.parts.map(({ poolId }) => poolId)])];
}

function layoutOf(
  pool: Pick<PoolState, 'name' | 'path'>,
  manifest: Manifest,
  pools: readonly PoolState[],
): { readonly layout?: VolumeLayout } {
  const { id, layout, stamps } = manifest;
  if (layout.kind === 'simple') return {};
  const [firstBytes = 0] = partSizes(manifest);
  const first: PartConfig = {
    poolId: layout.parts[0]?.poolId ?? '',
    pool: pool.name,
    path: poolPaths.data(poolPaths.volume(pool.path, id)),
    sizeBytes: firstBytes,
    stamp: stamps[0] ?? null,
    trouble: null,
  };
  const others = otherParts(manifest).map(({ poolId, fileId, sizeBytes }, index): PartConfig => {
    const where = pools.find((one) => one.isOpen && one.identity?.id === poolId);
    const part = where?.parts.get(fileId);
    const file = where === undefined ? null : poolPaths.data(poolPaths.part(where.path, fileId));
    const isThere = part !== undefined && part.record.volumeId === id;
    const trouble =
      where === undefined
        ? absentText(poolId, pools)
        : isThere
          ? null
          : `${file} of pool ${where.name} cannot be used: restore it, and reload`;
    return { poolId, pool: where?.name ?? null, path: isThere ? file : null, sizeBytes, stamp: stamps[index + 1] ?? null, trouble };
  });
  return { layout: { chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts: [first, ...others] } };
}

/**
 * Returns why a file in the pool with this id cannot be used. The text names all pools that are not open, because their ids are unknown.
 */
function absentText(poolId: string, pools: readonly PoolState[]): string {
  const names = pools.filter(({ isOpen }) => !isOpen).map(({ name }) => name);
  const text = `pool id ${poolId}, which has a file of the volume, is not open`;
  return names.length === 0
    ? `${text}: add its section [pool]`
    : `${text} (not open: ${names.join(', ')}): mount it, then run rsadm reload`;
}

/**
 * Returns why a volume is not served after its move was interrupted: only the content of the new pool shows whether the move was
 * committed.
 */
function movedText(poolId: string, pools: readonly PoolState[]): string {
  const target = pools.find((one) => one.identity?.id === poolId)?.name;
  const which = target === undefined ? `pool id ${poolId}, which is not open` : `pool ${target}`;
  return `its move to ${which} was interrupted in the last step, and only that pool tells where the volume is: mount it, then run rsadm reload`;
}

/** Returns the volumes of the open pools, in the order of the pools, and by name within a pool. */
export function volumeConfigsOf(pools: readonly PoolState[]): ServerVolumeConfig[] {
  return pools
    .filter(({ isOpen }) => isOpen)
    .flatMap((pool) =>
      [...pool.volumes.values()]
        .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.universe - b.universe))
        .map((manifest) => volumeConfigOf(pool, manifest, pools)),
    );
}
