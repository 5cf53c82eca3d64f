// The functions of the server that a shared pool needs, and the status that a shared pool shows (shared-pool.ts). Invariant: `leave` and
// `came` are called in turn, and never while another step of the pool runs.

import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { Engine } from './engine.ts';
import type { FarmWatch } from './farm-watch.ts';
import type { PoolMount } from './pool-mount.ts';

export interface SharedPoolPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Name of this server. */
  readonly server: string;
  readonly engine: Engine;
  readonly mount: PoolMount;
  random(): number;
  /** Returns the load of the pool; 0 if this server does not serve it. See Note.load. */
  load(): number;
  /** Called when the pool is owned and mounted: serves its volumes. */
  came(): Promise<void>;
  /**
   * Stops serving the volumes of the pool, and closes all files of the pool that this server has open. `isLost`: the ownership has ended,
   * so that no request is answered any more. Otherwise, every request that has begun is answered, and its writes are durable; if that is
   * not possible, throws, and the volumes are served as before.
   */
  leave(isLost: boolean): Promise<void>;
}

/** The time in which this server owns the pool under one generation. */
export interface Ownership {
  readonly generation: number;
  /** The generation in which the present incarnations of the volumes began. */
  readonly life: number;
}

/** What a server does about a shared pool. */
export type Standing = 'watching' | 'taking' | 'owned' | 'leaving' | 'ending';

/** `sight`: the result of the last look; null if the storage has not answered yet. */
export interface SharedPoolStatus extends Readonly<Pick<FarmWatch, 'sight' | 'servedBy'>> {
  readonly standing: Standing;
  /** Why this server does not serve the pool, or what it waits for. */
  readonly why: string;
  readonly ownership: Ownership | null;
  /** Why this server does not give the pool up, although it was asked to. */
  readonly refusal: string | null;
}
