// The shared pools of a server. Invariant: each shared pool of the configuration in force has one SharedPool, which lives until the pool is no
// longer configured.

import type { PoolConfig, PoolOwnership } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { SharedPool, type SharedPoolPorts } from './shared-pool.ts';

export interface FarmsPorts extends Omit<SharedPoolPorts, 'came' | 'engine' | 'leave' | 'mount' | 'server'> {
  server(): string;
  /** Makes the parts that reach the storage of the pool and its mount. */
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'>;
  /** Called when this server owns the pool, and has mounted it. */
  came(name: string): Promise<void>;
  /** See SharedPoolPorts.leave. `why`: the reason for the clients. */
  leave(name: string, isLost: boolean, why: string): Promise<void>;
}

export class Farms {
  private readonly ports: FarmsPorts;
  private readonly pools = new Map<string, SharedPool>();

  constructor(ports: FarmsPorts) {
    this.ports = ports;
  }

  /** Makes the parts that reach the storage of a pool that is not configured yet. */
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'> {
    return this.ports.partsOf(config);
  }

  get list(): readonly SharedPool[] {
    return [...this.pools.values()];
  }

  /** Watches the shared pools of a configuration that is in force, and no others. Resolves when a pool that left is given up. */
  async follow(configs: readonly PoolConfig[]): Promise<void> {
    const shared = configs.flatMap((config) => (config.shared === null ? [] : [{ config, disk: config.shared }]));
    for (const [name, pool] of this.pools) {
      if (shared.some(({ config }) => config.name === name)) continue;
      this.pools.delete(name);
      await pool.close();
    }
    for (const { config, disk } of shared) {
      const known = this.pools.get(config.name);
      if (known !== undefined) {
        known.configure(disk);
        continue;
      }
      const { ports } = this;
      const pool: SharedPool = new SharedPool(config.name, disk, {
        ...{ clock: ports.clock, log: ports.log, server: ports.server(), random: () => ports.random() },
        ...ports.partsOf(config),
        came: () => ports.came(config.name),
        leave: (isLost) => ports.leave(config.name, isLost, pool.status.why),
      });
      this.pools.set(config.name, pool);
      void pool.start();
    }
  }

  /** See OwnershipOf (pools/open-pool.ts). */
  ownershipOf({ name, isShared }: { readonly name: string; readonly isShared: boolean }): PoolOwnership | null {
    if (!isShared) return null;
    const pool = this.pools.get(name);
    const ownership = pool?.ownership ?? null;
    if (ownership === null) throw new RsError('E_POOL', pool?.status.why ?? 'its record was not read yet', { pool: name });
    return { generation: ownership.generation, life: ownership.life };
  }

  /** Resolves with true if this server owned the pool under the generation at a moment after the call. */
  async isMine(name: string | null, generation: number): Promise<boolean> {
    return (await (name === null ? null : this.pools.get(name))?.isMine(generation)) ?? false;
  }

  /** Throws E_UNKNOWN_POOL if the pool is not a shared pool of this server. */
  find(name: string): SharedPool {
    const pool = this.pools.get(name);
    if (pool !== undefined) return pool;
    throw new RsError('E_UNKNOWN_POOL', `No shared pool ${name}: rsadm farm lists the shared pools`, { pool: name });
  }

  /** Gives all pools up. Nothing of them may be open. */
  async close(): Promise<void> {
    await Promise.all(this.list.map((pool) => pool.close()));
    this.pools.clear();
  }
}
