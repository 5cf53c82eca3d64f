// Measures the load of the shared pools that this server serves, for its notes to the other owners. Invariants: nothing waits for a load.
// While a server process hangs, or no load can be measured, the loads keep their old values. A load always fits into a note, because the
// other owners would count a server with a malformed note as silent.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { SharedPools } from '../../volumes/holds/shared-pools.ts';
import type { Statistics } from '../../volumes/statistics/statistics.ts';
import { LOAD_MS, LOAD_REQUEST_BYTES, LOAD_SHARE } from './limits.ts';

type Stats = ServerMethods['stats']['result'];

export class PoolLoads {
  private readonly clock: Clock;
  private readonly statistics: Pick<Statistics, 'view'>;
  private readonly shared: Pick<SharedPools, 'servedNames'>;
  private loads: ReadonlyMap<string, number> = new Map();
  private nextMs = 0;

  constructor(clock: Clock, statistics: Pick<Statistics, 'view'>, shared: Pick<SharedPools, 'servedNames'>) {
    this.clock = clock;
    this.statistics = statistics;
    this.shared = shared;
  }

  /**
   * Returns the load of a pool, averaged over about a minute; 0 if this server does not serve the pool. Begins the next measurement if it
   * is due.
   */
  of(pool: string): number {
    if (this.clock.monotonicMs() >= this.nextMs) {
      this.nextMs = Number.POSITIVE_INFINITY;
      const measured = (): void => {
        this.nextMs = this.clock.monotonicMs() + LOAD_MS;
      };
      this.measure().then(measured, measured);
    }
    const load = Math.round(this.loads.get(pool) ?? 0);
    return Number.isSafeInteger(load) && load > 0 ? load : 0;
  }

  private async measure(): Promise<void> {
    if (this.shared.servedNames().size === 0) {
      this.loads = new Map();
      return;
    }
    const stats = await this.statistics.view();
    const loads = [...this.shared.servedNames()].map(([pool, volumes]) => {
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
