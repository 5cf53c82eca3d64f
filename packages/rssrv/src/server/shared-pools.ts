// The shared pools of the server: connects farm/ with the parts of the server that serve the pools. Invariant: what depends on the ownership
// of a pool asks here, and gets no answer while the storage gives none.

import type { PoolConfig } from '@rsio/common/config/schema/types';
import { Farms } from '../farm/farms.ts';
import type { SharedPoolPorts } from '../farm/shared-pool.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { Incarnations } from './incarnations.ts';
import { PoolHandOver, type PoolHandOverPorts } from './pool-hand-over.ts';

export interface SharedPoolsPorts extends Omit<PoolHandOverPorts, 'incarnationEnded' | 'volumes'> {
  readonly volumes: Volumes;
  server(): string;
  random(): number;
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'>;
  incarnations(): Pick<Incarnations, 'lost' | 'start'>;
}

export class SharedPools {
  readonly farms: Farms;
  private readonly ports: SharedPoolsPorts;

  constructor(ports: SharedPoolsPorts) {
    this.ports = ports;
    const handOver = new PoolHandOver({ ...ports, incarnationEnded: (id) => ports.incarnations().start(id) });
    this.farms = new Farms({
      ...ports,
      came: (name) => handOver.came(name),
      leave: (name, isLost, why) => handOver.leave(name, isLost, why),
    });
  }

  /** Resolves with true if this server owned the shared pool with this id under the generation at a moment after the call (F8). */
  isMine(poolId: string, generation: number): Promise<boolean> {
    const pool = this.ports.administration().poolStates.find(({ identity }) => identity?.id === poolId);
    return this.farms.isMine(pool?.name ?? null, generation);
  }

  /**
   * Called when writes to a volume may be lost. If another server owns its shared pool now, nothing is lost: that server has what was
   * durable, and the clients send the rest again.
   */
  async lost(volumeId: string): Promise<void> {
    const pool = this.ports.volumes.served.find(({ id }) => id === volumeId)?.pool;
    if (pool?.ownership !== undefined && !(await this.isMine(pool.ids[0] ?? '', pool.ownership.generation))) return;
    await this.ports.incarnations().lost(volumeId);
  }
}
