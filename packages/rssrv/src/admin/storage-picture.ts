// Makes the picture of the server's storage that events/storage-watch.ts compares with the previous picture. Pure. Invariant: a shared pool
// that this server leaves, and the volumes in it, never count as a fault, because another server serves them; nor does a volume whose file
// changes just now. An unproven fence counts as a fault.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { PoolStanding, StoragePicture } from '../events/storage-watch.ts';
import { type PoolState, volumeText } from '../pools/catalogue.ts';
import type { PoolMemory } from '../pools/pool-memory.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { volumeKey } from '../volumes/volume-ids.ts';

/**
 * `isAway` returns true if the pool is a shared pool that this server does not own, or is leaving. `unproven` returns why this server waits
 * for the fence of a pool; null if it does not wait.
 */
export function storagePicture(
  pools: readonly PoolState[],
  volumes: readonly ServerVolumeConfig[],
  failures: readonly VolumeFailure[],
  isAway: (pool: PoolState) => boolean,
  unproven: (pool: string) => string | null,
): StoragePicture {
  const away = new Set(pools.filter(isAway).map(({ name }) => name));
  // While this server leaves a pool, the volumes of the pool are still configured.
  const keysOf = (isWanted: boolean): ReadonlySet<string> =>
    new Set(volumes.filter(({ pool }) => away.has(pool?.name ?? '') === isWanted).map(volumeKey));
  const leaving = away.size === 0 ? new Set() : keysOf(true);
  // A picture is taken after each change, and usually nothing asks which of the many volumes exist.
  let here: ReadonlySet<string> | null = null;
  const isExpected = ({ context }: RsError): boolean => context['hasMoved'] === true || context['isBrief'] === true;
  const faults = failures.filter((failure) => !isExpected(failure.error) && !leaving.has(volumeKey(failure)));
  return {
    pools: new Map(pools.map((pool) => [pool.name, standingOf(pool, unproven(pool.name))])),
    unavailable: new Map(faults.map((failure) => [volumeKey(failure), failure.error.message])),
    exists: (volume) => (here ??= keysOf(false)).has(volume),
  };
}

function standingOf({ trouble, isShared, isOpen }: PoolState, unproven: string | null): PoolStanding {
  return unproven === null ? { reason: trouble, isAway: isShared && !isOpen } : { reason: unproven, isAway: false };
}

/** Returns the remembered volumes of pools that are not open, each with the reason why it is not served. */
export function failuresOf(states: readonly PoolState[], memory: Pick<PoolMemory, 'volumesOf'>): VolumeFailure[] {
  return states
    .filter(({ isOpen }) => !isOpen)
    .flatMap(({ name, path, trouble, isShared }) =>
      memory.volumesOf(path).map((volume) => {
        const reason = `pool ${name} cannot be used: ${trouble ?? 'it is not open'}`;
        const context = isShared ? { pool: name, hasMoved: true } : { pool: name };
        return { ...volume, error: new RsError('E_VOLUME', `Volume ${volumeText(volume)}: ${reason}`, context) };
      }),
    );
}
