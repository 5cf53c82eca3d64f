// Decides whether a read or write may be executed at once on the event loop or must use the thread pool. The kernel does not tell whether
// data is cached, so each call on the loop is timed. One slow call proves little, because on a busy machine the process may not have been
// scheduled. But if the process slept during a second slow call, that call waited for the storage, and the next requests use the pool.
// While calls in the pool hang, no call is made on the loop, because a hanging call there would stop the whole process. Pure: time and
// sleeps are ports.

import type { Clock } from '@rsio/common/lib/clock';
import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_US, SLOW_CALL_WATCHED_CALLS, STORAGE_SILENT_MS } from './limits.ts';

export class InlinePolicy {
  private readonly clock: Clock;
  private readonly sleeps: () => number;
  private poolRequestsLeft: number;
  /**
   * Number of calls still to be watched after a slow call or after a series of calls in the pool. One slow call among them moves the next
   * series to the pool.
   */
  private watchedCallsLeft: number;
  private startedMs = 0;
  private sleptBefore = 0;
  /** Number of calls in the pool. The time below is the end of the last one or, if none has ended yet, the start of the first one. */
  private pooled = 0;
  private movedMs = 0;

  /**
   * `start`: `pool` for storage that is usually slow. Calls are then tried on the loop only after a first series of requests in the pool.
   * `sleeps`: number of times this process has slept, or 0 if unknown, in which case every slow call counts.
   */
  constructor(clock: Clock, start: 'sync' | 'pool', sleeps: () => number) {
    this.clock = clock;
    this.sleeps = sleeps;
    this.poolRequestsLeft = start === 'pool' ? POOL_RUN_REQUESTS : 0;
    this.watchedCallsLeft = start === 'pool' ? SLOW_CALL_WATCHED_CALLS : 0;
  }

  /** Must be called when a call goes to the pool for any reason. */
  poolBegan(): void {
    if (this.pooled++ === 0) this.movedMs = this.clock.monotonicMs();
  }

  poolEnded(): void {
    this.pooled--;
    this.movedMs = this.clock.monotonicMs();
  }

  /**
   * Returns true if the caller may make the call on the loop. It must then call `inlineEnded` afterwards. False if the call must use the
   * pool. Calls do not nest.
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

  /** Must be called when the call permitted by `mayRunInline` has ended. `lengthBytes`: the length of that call. */
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
