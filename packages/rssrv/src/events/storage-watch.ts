// Compares each picture of the server's storage with the previous one, and returns the changes: pools that cannot be used, volumes that are
// not served. The administration takes a picture at intervals and after each change. The code in pools/ reports how full pools are.
// Pictures are compared, because many places in the code notice that storage is lost, and none of them has to report it. Invariants: each
// change is reported once; however many volumes change at once, the number of reports is bounded.

import { plural } from '@rsio/base/lib/units';
import { VOLUMES_NAMED_MAX } from './limits.ts';
import type { Change } from '@rsio/common/events/event-history';

export interface PoolStanding {
  /** Why the pool cannot be used; null if it can be used. */
  readonly reason: string | null;
  /** True if the pool is a shared pool that is not open here. Another server usually serves it. */
  readonly isAway: boolean;
}

export interface StoragePicture {
  readonly pools: ReadonlyMap<string, PoolStanding>;
  /** Maps each volume that is not served, such as `oracle@0`, to the reason. Leaves out the volumes of shared pools that are `isAway`. */
  readonly unavailable: ReadonlyMap<string, string>;
  readonly exists: (volume: string) => boolean;
}

export class StorageWatch {
  private pools: StoragePicture['pools'] = new Map();
  private unavailable: ReadonlyMap<string, string> = new Map();

  /** Returns the changes since the last call. At the first call, each unusable pool and each volume that is not served is a change. */
  look({ pools, unavailable, exists }: StoragePicture): Change[] {
    const changes: Change[] = [];
    for (const [name, standing] of pools) {
      const [from, to] = [stateOf(this.pools.get(name)), stateOf(standing)];
      if (from !== to) changes.push({ object: `pool ${name}`, from, to, reason: standing.reason ?? '' });
    }
    const lost = [...unavailable].filter(([volume]) => !this.unavailable.has(volume));
    const back = [...this.unavailable.keys()].filter((volume) => !unavailable.has(volume) && exists(volume));
    changes.push(
      ...named(lost, 'served', 'unavailable'),
      ...named(
        back.map((volume) => [volume, ''] as const),
        'unavailable',
        'served',
      ),
    );
    this.pools = new Map(pools);
    this.unavailable = new Map(unavailable);
    return changes;
  }
}

function stateOf(standing: PoolStanding | undefined): string {
  if (standing === undefined || standing.reason === null) return 'ready';
  return standing.isAway ? 'not here' : 'unavailable';
}

function named(volumes: readonly (readonly [volume: string, reason: string])[], from: string, to: string): Change[] {
  const changes = volumes.slice(0, VOLUMES_NAMED_MAX).map(([volume, reason]) => ({ object: `volume ${volume}`, from, to, reason }));
  const rest = volumes.length - changes.length;
  if (rest === 0) return changes;
  return [...changes, { object: plural(rest, 'more volume'), from, to, reason: 'rsadm volume list shows them' }];
}
