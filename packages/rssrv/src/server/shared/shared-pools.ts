// The shared pools of the server: connects farm/ with the parts of the server that serve the pools. Invariant: code that depends on the
// ownership of a pool asks this module, and gets no answer while the storage does not answer.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import { toRsError } from '@rsio/base/lib/errors';
import { Farms } from '../../farm/farms.ts';
import type { SharedPoolPorts } from '../../farm/shared-pool-ports.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Volumes } from '../../volumes/volumes.ts';
import { PoolLoads, type PoolLoadsPorts } from './pool-loads.ts';
import { PoolHandOver, type PoolHandOverPorts } from './pool-hand-over.ts';

export interface SharedPoolsPorts extends Omit<PoolHandOverPorts, 'incarnationEnded' | 'volumes'> {
  readonly volumes: Volumes;
  server(): string;
  random(): number;
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'>;
  incarnations(): { start(volumeId: string): Promise<void> };
  readonly statistics: PoolLoadsPorts['statistics'];
  /** Called when this server has taken or left a pool. */
  ownerChanged(): void;
}

export class SharedPools {
  readonly farms: Farms;
  private readonly ports: SharedPoolsPorts;

  constructor(ports: SharedPoolsPorts) {
    this.ports = ports;
    const handOver = new PoolHandOver({ ...ports, incarnationEnded: (id) => ports.incarnations().start(id) });
    const loads = new PoolLoads({ ...ports, served: () => this.servedNames() });
    this.farms = new Farms({
      ...ports,
      loadOf: (name) => loads.of(name),
      came: (name) => handOver.came(name).then(() => ports.ownerChanged()),
      leave: (name, isLost, why) => handOver.leave(name, isLost, why).then(() => ports.ownerChanged()),
    });
  }

  /** See Farms.isMine. `poolId`: id of the pool, as read from its storage. */
  isMine(poolId: string, generation: number, hasFailed: boolean): Promise<boolean> {
    return this.farms.isMine(this.nameOf(poolId), generation, hasFailed);
  }

  /** See OwnLooks.ageMs. */
  lookAgeMs(poolId: string, generation: number): number | null {
    return this.farms.lookAgeMs(this.nameOf(poolId), generation);
  }

  /** See OwnLooks.disputedMs. Returns 0 for a volume that is in no shared pool. */
  disputedMs({ pool }: Pick<ServedVolume, 'pool'>): number | null {
    if (pool?.ownership === undefined) return 0;
    return this.farms.disputedMs(this.nameOf(pool.ids[0] ?? ''), pool.ownership.generation);
  }

  private nameOf(poolId: string): string | null {
    const states = this.ports.administration().poolStates;
    return states.find(({ identity, ownership }) => ownership !== null && identity?.id === poolId)?.name ?? null;
  }

  /** See PoolLoadsPorts.served. */
  private servedNames(): ReadonlyMap<string, ReadonlySet<string>> {
    const owned = this.ports.administration().poolStates.filter(({ ownership }) => ownership !== null);
    return new Map(
      owned.map(({ name, identity }) => [name, new Set(this.volumesIn(identity?.id ?? '').map((volume) => nameInUniverse(volume)))]),
    );
  }

  private volumesIn(poolId: string): readonly ServedVolume[] {
    return this.ports.volumes.served.filter(({ pool }) => pool?.ids.includes(poolId) === true);
  }

  /**
   * Called when all sessions have ended. Makes all data of the owned pools durable, and saves the counts of the incarnations. Returns the
   * names of the pools for which this has succeeded. The other pools are left as after a crash, so that their clients replay their logs.
   */
  async settled(): Promise<ReadonlySet<string>> {
    const { ports } = this;
    const clean = new Set<string>();
    for (const { name, identity, ownership } of ports.administration().poolStates) {
      if (identity === null || ownership === null) continue;
      try {
        for (const { id } of this.volumesIn(identity.id)) await ports.volumes.sync(id);
        await ports.ledgers.save(identity.id);
        clean.add(name);
      } catch (thrown) {
        ports.log.error(`Pool ${name} is left as after a crash: ${toRsError(thrown).message}`);
      }
    }
    return clean;
  }
}
