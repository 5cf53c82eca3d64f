// Measures the load of the shared pools that this server serves, for its notes to the other owners. Invariants: nothing waits for a load.
// While a server process hangs, or no load can be measured, the loads keep their old values. A load always fits into a note, because the
// other owners would count a server with a malformed note as silent.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { LOAD_MS, LOAD_REQUEST_BYTES, LOAD_SHARE } from './limits.ts';

type Stats = ServerMethods['stats']['result'];

export interface PoolLoadsPorts {
  readonly clock: Clock;
  statistics(): Promise<Stats>;
  /** Maps each shared pool that this server serves to the names of its volumes, such as `oracle@0`. */
  served(): ReadonlyMap<string, ReadonlySet<string>>;
}

export class PoolLoads {
  private readonly ports: PoolLoadsPorts;
  private loads: ReadonlyMap<string, number> = new Map();
  private nextMs = 0;

  constructor(ports: PoolLoadsPorts) {
    this.ports = ports;
  }

  /**
   * Returns the load of a pool, averaged over about a minute; 0 if this server does not serve the pool. Begins the next measurement if it
   * is due.
   */
  of(pool: string): number {
    if (this.ports.clock.monotonicMs() >= this.nextMs) {
      this.nextMs = Number.POSITIVE_INFINITY;
      const measured = (): void => {
        this.nextMs = this.ports.clock.monotonicMs() + LOAD_MS;
      };
      this.measure().then(measured, measured);
    }
    const load = Math.round(this.loads.get(pool) ?? 0);
    return Number.isSafeInteger(load) && load > 0 ? load : 0;
  }

  private async measure(): Promise<void> {
    if (this.ports.served().size === 0) {
      this.loads = new Map();
      return;
    }
    const stats = await this.ports.statistics();
    const loads = [...this.ports.served()].map(([pool, volumes]) => {
      const now = loadOf(stats, volumes);
      const before = this.loads.get(pool) ?? now;
      return [pool, before + (now - before) * LOAD_SHARE] as const;
    });
    this.loads = new Map(loads);
  }
}

/** Returns the READs and WRITEs per second of these volumes, plus one for each LOAD_REQUEST_BYTES per second. Pure. */
export function loadOf({ sessions }: Pick<Stats, 'sessions'>, volumes: ReadonlySet<string>): number {
  const own = sessions.flatMap((session) => session.volumes).filter(({ volume }) => volumes.has(volume));
  return own.reduce((load, { readsPerSecond, writesPerSecond, readBytesPerSecond, writtenBytesPerSecond }) => {
    return load + readsPerSecond + writesPerSecond + (readBytesPerSecond + writtenBytesPerSecond) / LOAD_REQUEST_BYTES;
  }, 0);
}
