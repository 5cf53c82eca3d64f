// Executes the changes of a server one after another: reloads, and changes of volumes and clients by command. Invariants: no two changes
// overlap; a change that fails does not stop those behind it; no more than CHANGES_WAITING_MAX commands wait.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { CHANGES_WAITING_MAX } from './limits.ts';

export class ChangeQueue {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  /** Executes the change when those before it have ended. Throws E_LIMIT if too many wait, and whatever the change throws. */
  run<T>(change: () => Promise<T>): Promise<T> {
    if (this.waiting >= CHANGES_WAITING_MAX)
      return Promise.reject(new RsError('E_LIMIT', `${CHANGES_WAITING_MAX} changes of the server are already waiting: try again later`));
    return this.runOwn(change);
  }

  /** Like `run`, for changes of which the server itself makes a few at most. They are never refused, however many commands wait. */
  runOwn<T>(change: () => Promise<T>): Promise<T> {
    this.waiting++;
    const result = this.last.then(() => {
      this.waiting--;
      return change();
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when no change is in progress and none waits, or after this time: a file system may not answer. */
  async idle(clock: Clock, limitMs: number): Promise<void> {
    let isOver = false;
    let timer: Timer | null = null;
    const over = new Promise<void>((resolve) => {
      timer = clock.after(limitMs, () => {
        isOver = true;
        resolve();
      });
    });
    for (let seen: unknown = null; seen !== this.last && !isOver; ) {
      seen = this.last;
      await Promise.race([this.last, over]);
    }
    (timer as Timer | null)?.cancel();
  }
}
