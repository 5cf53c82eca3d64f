// Decides whether a read or write may run on the event loop or must use the thread pool. The kernel does not report whether data is
// cached, so each call on the event loop is timed. A single slow call proves little, because a busy machine may not have scheduled the
// process. The calls after a slow call are therefore watched. If a watched call is slow and the process slept during the call, the call has
// waited for the storage. After a call that has waited for the storage, the next requests use the thread pool. While calls in the thread
// pool hang, no call runs on the event loop, because a hanging call would block the whole process. The module is pure: the time and the
// number of sleeps come through ports.

import type { Clock } from '@rsio/base/lib/clock';
import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_US, SLOW_CALL_WATCHED_CALLS, STORAGE_SILENT_MS } from '../limits.ts';

export class InlinePolicy {
  private readonly clock: Clock;
  private readonly sleeps: () => number;
  private poolRequestsLeft: number;
  /** Number of calls that are still to be watched after a slow call or after a series of requests in the thread pool. */
  private watchedCallsLeft: number;
  private startedMs = 0;
  private sleptBefore = 0;
  /**
   * `pooled`: number of calls in the pool. `movedMs`: the last time at which a call in the pool ended, or a call entered the empty
   * pool.
   */
  private pooled = 0;
  private movedMs = 0;

  /**
   * `start`: with `pool`, the first series of requests goes to the thread pool, because the storage is usually slow. `sleeps` returns how
   * many times this process has slept. If `sleeps` returns 0, the number is unknown, and every slow call counts as a wait for the storage.
   */
  constructor(clock: Clock, start: 'sync' | 'pool', sleeps: () => number) {
    this.clock = clock;
    this.sleeps = sleeps;
    this.poolRequestsLeft = start === 'pool' ? POOL_RUN_REQUESTS : 0;
    this.watchedCallsLeft = start === 'pool' ? SLOW_CALL_WATCHED_CALLS : 0;
  }

  /** Must be called whenever a call goes to the thread pool, for any reason. */
  poolBegan(): void {
    if (this.pooled++ === 0) this.movedMs = this.clock.monotonicMs();
  }

  poolEnded(): void {
    this.pooled--;
    this.movedMs = this.clock.monotonicMs();
  }

  /**
   * Returns true if the caller may make the call on the event loop. If the result is true, the caller must call `inlineEnded` after
   * the call. A second call must not begin before the first has ended.
   */
  mayRunInline(): boolean {
    if (this.pooled > 0 && this.clock.monotonicMs() - this.movedMs >= STORAGE_SILENT_MS) return false;
    if (this.poolRequestsLeft > 0) {
      this.poolRequestsLeft--;
      return false;
    }
    if (this.watchedCallsLeft > 0) this.sleptBefore = this.sleeps();
    this.startedMs = this.clock.monotonicMs();
    return true;
  }

  /** Must be called when the call permitted by `mayRunInline` has ended. */
  inlineEnded(lengthBytes: number): void {
    const tookUs = (this.clock.monotonicMs() - this.startedMs) * 1000;
    const isWatched = this.watchedCallsLeft > 0;
    if (isWatched) this.watchedCallsLeft--;
    if (tookUs <= SLOW_CALL_US + lengthBytes / SLOW_CALL_BYTES_PER_US) return;
    this.watchedCallsLeft = SLOW_CALL_WATCHED_CALLS;
    if (isWatched && this.hasSlept()) this.poolRequestsLeft = POOL_RUN_REQUESTS;
  }

  private hasSlept(): boolean {
    const slept = this.sleeps();
    return slept === 0 || slept > this.sleptBefore;
  }
}
