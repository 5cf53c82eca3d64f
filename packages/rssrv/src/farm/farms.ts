// The shared pools of a server. Invariant: each shared pool of the configuration in force has one SharedPool, which lives until the pool is
// no longer configured.

import type { PoolConfig, PoolOwnership, SharedDiskConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { movePool } from './move-pool.ts';
import { SharedPool } from './shared-pool.ts';
import type { SharedPoolPorts } from './shared-pool-ports.ts';

export interface FarmsPorts extends Omit<SharedPoolPorts, 'came' | 'engine' | 'leave' | 'load' | 'mount' | 'server'> {
  server(): string;
  /** Makes the engine and the mount of the pool. */
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'>;
  /** See SharedPoolPorts.load. */
  loadOf(name: string): number;
  /** Called when this server owns the pool, and has mounted it. */
  came(name: string): Promise<void>;
  /** See SharedPoolPorts.leave. `why`: the reason for the clients. */
  leave(name: string, isLost: boolean, why: string): Promise<void>;
}

/** A shared pool that this server does not own. */
export interface PoolAway {
  /** Name of the server that serves the pool; null if none does. */
  readonly servedBy: string | null;
  readonly why: string;
}

const UNREAD = 'its record was not read yet';

export class Farms {
  private readonly ports: FarmsPorts;
  private readonly pools = new Map<string, SharedPool>();
  /** Reasons why shared pools of the configuration cannot even be watched. */
  private readonly broken = new Map<string, string>();
  /** Pools that are being closed. A new pool with the same name begins only after the old pool is closed. */
  private readonly closing = new Map<string, Promise<void>>();
  private isStopping = false;

  constructor(ports: FarmsPorts) {
    this.ports = ports;
  }

  /** Makes the engine and the mount of a pool that is not configured yet. */
  partsOf(config: PoolConfig): Pick<SharedPoolPorts, 'engine' | 'mount'> {
    return this.ports.partsOf(config);
  }

  get list(): readonly SharedPool[] {
    return [...this.pools.values()];
  }

  /**
   * Watches the shared pools of a configuration that is in force, and no others. If a pool is no longer configured, this server gives it up
   * in the background: the pool may still be in a step that waits for the change of the configuration that has called this method.
   */
  follow(configs: readonly PoolConfig[]): void {
    const shared = configs.flatMap((config) => (config.shared === null ? [] : [{ config, disk: config.shared }]));
    for (const [name, pool] of this.pools) {
      if (shared.some(({ config }) => config.name === name)) continue;
      this.pools.delete(name);
      pool.stop();
      const closed = pool.close(true).finally(() => this.closing.delete(name));
      this.closing.set(name, closed);
    }
    this.broken.clear();
    for (const { config, disk } of shared) {
      const known = this.pools.get(config.name);
      if (known !== undefined) {
        known.configure(disk);
        continue;
      }
      this.begin(config, disk);
    }
  }

  private begin(config: PoolConfig, disk: SharedDiskConfig): void {
    const { ports } = this;
    const { name } = config;
    try {
      const pool: SharedPool = new SharedPool(name, disk, {
        clock: ports.clock,
        log: ports.log,
        server: ports.server(),
        random: () => ports.random(),
        ...ports.partsOf(config),
        load: () => ports.loadOf(name),
        came: () => ports.came(name),
        leave: (isLost) => ports.leave(name, isLost, pool.status.why),
      });
      this.pools.set(name, pool);
      if (this.isStopping) pool.stop();
      void (this.closing.get(name) ?? Promise.resolve()).then(() => pool.start());
    } catch (thrown) {
      const why = toRsError(thrown).message;
      ports.log.error(`Pool ${name} cannot be used: ${why}`);
      this.broken.set(name, why);
    }
  }

  /** Returns the state of a shared pool that this server does not own; null for a pool that is not shared, or that this server owns. */
  away({ name, isShared }: { readonly name: string; readonly isShared: boolean }): PoolAway | null {
    if (!isShared) return null;
    const pool = this.pools.get(name);
    if (pool === undefined) return { servedBy: null, why: this.broken.get(name) ?? UNREAD };
    const { ownership, servedBy, why } = pool.status;
    return ownership === null ? { servedBy, why } : null;
  }

  /**
   * Returns the reason why this server, which is taking the pool, still waits for a fence, so that no server can serve the pool. Returns
   * null if this server does not wait for a fence of the pool.
   */
  unproven(name: string): string | null {
    return this.pools.get(name)?.unproven ?? null;
  }

  /** See OwnershipOf (pools/open-pool.ts). */
  ownershipOf({ name, isShared }: { readonly name: string; readonly isShared: boolean }): PoolOwnership | null {
    if (!isShared) return null;
    const pool = this.pools.get(name);
    const ownership = pool?.ownership ?? null;
    if (ownership === null) throw new RsError('E_POOL', pool?.status.why ?? this.broken.get(name) ?? UNREAD, { pool: name });
    return { generation: ownership.generation, life: ownership.life };
  }

  /**
   * Resolves with true if, at a moment after the call, this server owned the pool under the generation. `hasFailed`: a request has failed;
   * if the whole file system has failed, the ownership ends, and the result is false.
   */
  async isMine(name: string | null, generation: number, hasFailed: boolean): Promise<boolean> {
    const pool = name === null ? undefined : this.pools.get(name);
    if (pool === undefined || !(await pool.looks.isMine(generation))) return false;
    return !hasFailed || (await pool.isHealthy(true));
  }

  /** See OwnLooks.ageMs. */
  lookAgeMs(name: string | null, generation: number): number | null {
    return this.pools.get(name ?? '')?.looks.ageMs(generation) ?? null;
  }

  /** See OwnLooks.disputedMs. */
  disputedMs(name: string | null, generation: number): number | null {
    return this.pools.get(name ?? '')?.looks.disputedMs(generation) ?? null;
  }

  /** Called when the file system of an owned pool has failed. The pool is taken again, or another server takes it. */
  storageFailed(name: string, why: string): void {
    this.pools.get(name)?.end(why);
  }

  /** Moves a pool to another owner, and resolves when that server serves it. Throws like movePool and `find`. */
  move(name: string, to: string): Promise<void> {
    return movePool(this.find(name), this.ports.server(), to, this.ports.clock);
  }

  /** Throws E_UNKNOWN_POOL if the pool is not a shared pool of this server. */
  find(name: string): SharedPool {
    const pool = this.pools.get(name);
    if (pool !== undefined) return pool;
    throw new RsError('E_UNKNOWN_POOL', `No shared pool ${name}: rsadm farm lists the shared pools`, { pool: name });
  }

  /** From now on, this server takes no pool, and moves none. */
  stop(): void {
    this.isStopping = true;
    for (const pool of this.list) pool.stop();
  }

  /**
   * Ends all watches. No volume or file of the pools may be open. `clean`: names of the pools in which every write is durable. This server
   * leaves the other pools to the next owner as if this server had died.
   */
  async close(clean: ReadonlySet<string>): Promise<void> {
    await Promise.allSettled([...this.closing.values(), ...this.list.map((pool) => pool.close(clean.has(pool.name)))]);
    this.pools.clear();
  }
}
