// Decides for each read and write whether it may run at once on the loop or has to go through the thread pool.
// Cached or not cannot be known beforehand, so every call at once is timed: a slow one sends the next requests to the pool,
// after which the storage is probed again. A single slow call among many fast ones is excused: on a busy machine it tells that this
// process did not run, not that the storage was slow. Pure: time comes in as a Clock, nothing is read or written here.

import type { Clock } from '@rsio/protocol/lib/clock';
import { POOL_RUN_REQUESTS, SLOW_CALL_BYTES_PER_US, SLOW_CALL_EXCUSED_AFTER, SLOW_CALL_US } from '@rsio/protocol/limits';

export class Pace {
  private readonly clock: Clock;
  private poolRequestsLeft: number;
  private startedMs = 0;
  private fastCallsInARow = 0;

  /** `start`: `pool` for storage known to be slow; it is probed after the first run of requests. */
  constructor(clock: Clock, start: 'sync' | 'pool') {
    this.clock = clock;
    this.poolRequestsLeft = start === 'pool' ? POOL_RUN_REQUESTS : 0;
  }

  /** True: run the call now and report `leave` after it. False: this request goes to the pool. Calls do not nest. */
  enter(): boolean {
    if (this.poolRequestsLeft > 0) {
      this.poolRequestsLeft--;
      return false;
    }
    this.startedMs = this.clock.monotonicMs();
    return true;
  }

  /** The call let in by `enter` has ended; `lengthBytes` is what it was to move. */
  leave(lengthBytes: number): void {
    const tookUs = (this.clock.monotonicMs() - this.startedMs) * 1000;
    if (tookUs <= SLOW_CALL_US + lengthBytes / SLOW_CALL_BYTES_PER_US) {
      this.fastCallsInARow++;
      return;
    }
    if (this.fastCallsInARow < SLOW_CALL_EXCUSED_AFTER) this.poolRequestsLeft = POOL_RUN_REQUESTS;
    this.fastCallsInARow = 0;
  }
}
