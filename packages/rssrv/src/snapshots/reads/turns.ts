// Limits how much work runs at a time on the file systems of pools: on all pools together, and on each pool. A pool that hangs therefore
// occupies few threads and does not delay other pools. Invariants: work counts as running from its start to its end, even while it hangs.
// Work that needs several pools occupies no pool until all of these pools are free; no deadlock is therefore possible.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { COMPARISON_WAIT_MS, COMPARISONS_MAX, COMPARISONS_PER_POOL_MAX, COMPARISONS_WAITING_MAX } from '../limits.ts';

interface Waiting {
  readonly pools: readonly string[];
  begin(): void;
}

export class PoolTurns {
  private readonly clock: Clock;
  private readonly running = new Map<string, number>();
  private count = 0;
  private waiting: Waiting[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Executes the work in its turn. `pools`: the pools that the work needs, each once. Throws E_BUSY if the turn of the work does not come
   * in time.
   */
  async run<T>(pools: readonly string[], work: () => Promise<T>): Promise<T> {
    if (!this.isFree(pools)) await this.turn(pools);
    else this.begun(pools);
    try {
      return await work();
    } finally {
      this.ended(pools);
    }
  }

  private turn(pools: readonly string[]): Promise<void> {
    const pool = pools.join(', ');
    const refusal = (): RsError =>
      new RsError('E_BUSY', `Too many comparisons of snapshots wait for pool ${pool}: try again later`, { pool });
    if (this.waiting.length >= COMPARISONS_WAITING_MAX) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      const one: Waiting = {
        pools,
        begin: () => {
          timer.cancel();
          this.begun(pools);
          resolve();
        },
      };
      const timer = this.clock.after(COMPARISON_WAIT_MS, () => {
        this.waiting = this.waiting.filter((other) => other !== one);
        reject(refusal());
      });
      this.waiting.push(one);
    });
  }

  private isFree(pools: readonly string[]): boolean {
    return this.count < COMPARISONS_MAX && pools.every((pool) => (this.running.get(pool) ?? 0) < COMPARISONS_PER_POOL_MAX);
  }

  private begun(pools: readonly string[]): void {
    this.count++;
    for (const pool of pools) this.running.set(pool, (this.running.get(pool) ?? 0) + 1);
  }

  private ended(pools: readonly string[]): void {
    this.count--;
    for (const pool of pools) {
      const left = (this.running.get(pool) ?? 0) - 1;
      if (left > 0) this.running.set(pool, left);
      else this.running.delete(pool);
    }
    // The end of work on several pools may let more than one waiting call begin.
    for (;;) {
      const next = this.waiting.find((one) => this.isFree(one.pools));
      if (next === undefined) return;
      this.waiting = this.waiting.filter((one) => one !== next);
      next.begin();
    }
  }
}
