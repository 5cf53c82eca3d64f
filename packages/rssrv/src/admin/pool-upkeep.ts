// What the server does about its pools without a command: it measures their space at intervals, more often when a pool is nearly full, and
// deletes removed volumes when their time is over. Invariant: sessions are told whenever the set of pools in which writes must wait for
// space has changed.

import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../events/event-log.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import type { ChangeQueue } from './change-queue.ts';
import { POOL_MEASURE_MS, POOL_MEASURE_NEAR_MS, PURGE_INTERVAL_MS } from './limits.ts';

export interface PoolUpkeepPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly pools: Pools;
  readonly verbs: Pick<PoolVerbs, 'purgeExpired'>;
  readonly changes: Pick<ChangeQueue, 'runOwn'>;
  /** Called when the set of pools below their reserve has changed. `ids`: the ids of the pools below their reserve. */
  shortPoolsChanged(ids: readonly string[]): void;
  /** Called after each measurement. */
  measured(): void;
}

export class PoolUpkeep {
  private readonly ports: PoolUpkeepPorts;
  private measureTimer: Timer | null = null;
  private purgeTimer: Timer | null = null;

  constructor(ports: PoolUpkeepPorts) {
    this.ports = ports;
  }

  start(): void {
    this.measureLater();
    this.purgeLater();
  }

  stop(): void {
    this.measureTimer?.cancel();
    this.purgeTimer?.cancel();
  }

  /**
   * Reports how full the pools are. If the set of pools in which writes have to wait for space has changed, tells the sessions the new set.
   */
  judgeSpace(): void {
    const { log, pools } = this.ports;
    const { space, states } = pools;
    const before = space.shortIds;
    for (const { pool, state, level, text } of space.look(states)) log[level](text, eventOf(`pool ${pool}`, '-', state));
    if (!isDeepStrictEqual(before, space.shortIds)) this.ports.shortPoolsChanged(space.shortIds);
  }

  private measureLater(): void {
    const { clock, pools } = this.ports;
    this.measureTimer = clock.after(pools.space.isNear(pools.states) ? POOL_MEASURE_NEAR_MS : POOL_MEASURE_MS, () => {
      void pools.measure().then(() => this.ports.measured());
      this.measureLater();
    });
  }

  private purgeLater(): void {
    const { clock, changes, verbs } = this.ports;
    this.purgeTimer = clock.after(PURGE_INTERVAL_MS, () => {
      void changes.runOwn(() => verbs.purgeExpired(), 'deleting removed volumes').catch(() => undefined);
      this.purgeLater();
    });
  }
}
