// Turns for work that can hang with the file system of a pool: a few at a time in all, and fewer in one pool, so that a pool that hangs keeps
// few threads and delays no other pool. Invariant: work that has begun counts until it ends, however long that takes.

import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { COMPARISON_WAIT_MS, COMPARISONS_MAX, COMPARISONS_PER_POOL_MAX, COMPARISONS_WAITING_MAX } from './limits.ts';

interface Waiting {
  readonly pool: string;
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

  /** Executes the work in its turn. Throws E_BUSY if its turn does not come in time. */
  async run<T>(pool: string, work: () => Promise<T>): Promise<T> {
    if (!this.isFree(pool)) await this.turn(pool);
    else this.begun(pool);
    try {
      return await work();
    } finally {
      this.ended(pool);
    }
  }

  private turn(pool: string): Promise<void> {
    const refusal = (): RsError =>
      new RsError('E_BUSY', `Too many comparisons of snapshots wait for pool ${pool}: try again later`, { pool });
    if (this.waiting.length >= COMPARISONS_WAITING_MAX) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      const one: Waiting = {
        pool,
        begin: () => {
          timer.cancel();
          this.begun(pool);
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

  private isFree(pool: string): boolean {
    return this.count < COMPARISONS_MAX && (this.running.get(pool) ?? 0) < COMPARISONS_PER_POOL_MAX;
  }

  private begun(pool: string): void {
    this.count++;
    this.running.set(pool, (this.running.get(pool) ?? 0) + 1);
  }

  private ended(pool: string): void {
    this.count--;
    const left = (this.running.get(pool) ?? 0) - 1;
    if (left > 0) this.running.set(pool, left);
    else this.running.delete(pool);
    const next = this.waiting.find((one) => this.isFree(one.pool));
    if (next === undefined) return;
    this.waiting = this.waiting.filter((one) => one !== next);
    next.begin();
  }
}
