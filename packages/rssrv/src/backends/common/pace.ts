// Decides for each read and write whether it may run at once on the loop or has to go through the thread pool.
// Cached or not cannot be known beforehand, so every call at once is timed. A slow one alone says little: on a busy machine most are those
// during which this process did not run. So the calls after a slow one are watched: one that is slow again and has slept waited for the
// storage, and sends the next requests to the pool, after which the storage is probed again. While the pool shows that the storage is silent,
// nothing runs on the loop: a call that hangs there stops all of the process. Pure: time and sleeps come in from outside.

import type { Clock } from '@rsio/common/lib/clock';
import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_US, SLOW_CALL_WATCHED_CALLS, STORAGE_SILENT_MS } from './limits.ts';

export class InlinePolicy {
  private readonly clock: Clock;
  private readonly sleeps: () => number;
  private poolRequestsLeft: number;
  /** Calls that are still watched; also after a run in the pool, where one slow call is enough for the next run. */
  private watchedCallsLeft: number;
  private startedMs = 0;
  private sleptBefore = 0;
  /** Calls in the pool, and when one of them ended last; when the first began, where none has since. */
  private pooled = 0;
  private movedMs = 0;

  /**
   * `start`: `pool` for storage known to be slow; it is probed after the first run of requests. `sleeps`: how often this process has slept
   * until now; 0 where that is not known, and then every slow call that is watched counts.
   */
  constructor(clock: Clock, start: 'sync' | 'pool', sleeps: () => number) {
    this.clock = clock;
    this.sleeps = sleeps;
    this.poolRequestsLeft = start === 'pool' ? POOL_RUN_REQUESTS : 0;
    this.watchedCallsLeft = start === 'pool' ? SLOW_CALL_WATCHED_CALLS : 0;
  }

  /** A call goes to the pool, whatever it is. */
  poolBegan(): void {
    if (this.pooled++ === 0) this.movedMs = this.clock.monotonicMs();
  }

  poolEnded(): void {
    this.pooled--;
    this.movedMs = this.clock.monotonicMs();
  }

  /** True: run the call now and report `leave` after it. False: this request goes to the pool. Calls do not nest. */
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

  /** The call let in by `enter` has ended; `lengthBytes` is what it was to move. */
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
