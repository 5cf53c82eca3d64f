// The shared pools of the server: says what farm/ knows about the owner of a served volume. Invariant: code that depends on the
// ownership of a pool asks this module, and gets no answer while the storage does not answer.

import { nameInUniverse } from '@rsio/base/lib/volume-name';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Farms } from '../../farm/farms.ts';
import type { Pools } from '../../pools/pools.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Volumes } from '../volumes.ts';
import type { OwnedLedgers } from './owned-ledgers.ts';

interface SharedPoolsParts {
  readonly log: Pick<Log, 'error'>;
  readonly farms: Pick<Farms, 'disputedMs' | 'isMine' | 'lookAgeMs'>;
  readonly pools: Pick<Pools, 'states'>;
  readonly volumes: Pick<Volumes, 'served' | 'sync'>;
  readonly ledgers: Pick<OwnedLedgers, 'save'>;
}

export class SharedPools {
  private readonly parts: SharedPoolsParts;

  constructor(parts: SharedPoolsParts) {
    this.parts = parts;
  }

  /** See Farms.isMine. `poolId`: id of the pool, as read from its storage. */
  isMine(poolId: string, generation: number, hasFailed: boolean): Promise<boolean> {
    return this.parts.farms.isMine(this.nameOf(poolId), generation, hasFailed);
  }

  /** See OwnLooks.ageMs. */
  lookAgeMs(poolId: string, generation: number): number | null {
    return this.parts.farms.lookAgeMs(this.nameOf(poolId), generation);
  }

  /** See OwnLooks.disputedMs. Returns 0 for a volume that is in no shared pool. */
  disputedMs({ pool }: Pick<ServedVolume, 'pool'>): number | null {
    if (pool?.ownership === undefined) return 0;
    return this.parts.farms.disputedMs(this.nameOf(pool.ids[0] ?? ''), pool.ownership.generation);
  }

  private nameOf(poolId: string): string | null {
    const states = this.parts.pools.states;
    return states.find(({ identity, ownership }) => ownership !== null && identity?.id === poolId)?.name ?? null;
  }

  /** Maps each shared pool that this server serves to the names of its volumes, such as `oracle@0`. */
  servedNames(): ReadonlyMap<string, ReadonlySet<string>> {
    const owned = this.parts.pools.states.filter(({ ownership }) => ownership !== null);
    return new Map(
      owned.map(({ name, identity }) => [name, new Set(this.volumesIn(identity?.id ?? '').map((volume) => nameInUniverse(volume)))]),
    );
  }

  private volumesIn(poolId: string): readonly ServedVolume[] {
    return this.parts.volumes.served.filter(({ pool }) => pool?.ids.includes(poolId) === true);
  }

  /**
   * Called when all sessions have ended. Makes all data of the owned pools durable, and saves the counts of the incarnations. Returns the
   * names of the pools for which this has succeeded. The other pools are left as after a crash, so that their clients replay their logs.
   */
  async settled(): Promise<ReadonlySet<string>> {
    const { log, pools, volumes, ledgers } = this.parts;
    const clean = new Set<string>();
    for (const { name, identity, ownership } of pools.states) {
      if (identity === null || ownership === null) continue;
      try {
        for (const { id } of this.volumesIn(identity.id)) await volumes.sync(id);
        await ledgers.save(identity.id);
        clean.add(name);
      } catch (thrown) {
        log.error(`Pool ${name} is left as after a crash: ${toRsError(thrown).message}`);
      }
    }
    return clean;
  }
}
