// Tracks the changes and scans in progress in each open pool, even after the caller has stopped waiting. Invariant: work counts until it
// has ended, whether or not it has failed.

import type { PoolFiles } from './disk/pool-files.ts';

export class PoolWork {
  private readonly working = new Map<PoolFiles, ReadonlySet<Promise<unknown>>>();

  /** Counts `work` in the pool with these files, and returns it. */
  track<T>(files: PoolFiles, work: Promise<T>): Promise<T> {
    const done = (): void => {
      const left = new Set(this.working.get(files));
      left.delete(tracked);
      if (left.size === 0) this.working.delete(files);
      else this.working.set(files, left);
    };
    const tracked = work.then(done, done);
    this.working.set(files, new Set(this.working.get(files)).add(tracked));
    return work;
  }

  isIdle(files: PoolFiles): boolean {
    return !this.working.has(files);
  }

  /** Resolves when no work is in progress in the pool. */
  async idle(files: PoolFiles): Promise<void> {
    for (let working = this.working.get(files); working !== undefined; working = this.working.get(files)) await Promise.all(working);
  }
}
