// Warnings that strangers cause, as many as they like: so many in a time are logged, of the rest only how many they were, so that nobody who
// proved nothing can fill a disk. What is said is the caller's. Invariant: what is left out is told, at the latest when it is closed.

import type { Clock, Timer } from '@rsio/protocol/lib/clock';
import type { Log } from '@rsio/protocol/lib/log';
import { REFUSALS_LOGGED_MAX, REFUSALS_LOG_MS } from '@rsio/protocol/limits';

export class StrangersLog {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'warn'>;
  private logged = 0;
  private leftOut = 0;
  /** Ends the time; null: none has begun. */
  private timer: Timer | null = null;

  constructor(clock: Clock, log: Pick<Log, 'warn'>) {
    this.clock = clock;
    this.log = log;
  }

  warn(sentence: string): void {
    this.timer ??= this.clock.after(REFUSALS_LOG_MS, () => this.close());
    if (this.logged >= REFUSALS_LOGGED_MAX) {
      this.leftOut++;
      return;
    }
    this.logged++;
    this.log.warn(sentence);
  }

  /** Says what was left out, and begins anew with the next warning. */
  close(): void {
    this.timer?.cancel();
    this.timer = null;
    if (this.leftOut > 0) this.log.warn(`${this.leftOut} more connections were refused within ${REFUSALS_LOG_MS} ms`);
    this.logged = 0;
    this.leftOut = 0;
  }
}
