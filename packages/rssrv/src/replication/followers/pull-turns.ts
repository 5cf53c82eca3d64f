// Lets a bounded number of pulls run at the same time, so that many replications do not fill the memory and the line; the others wait in
// order. Invariant: at most PULLS_AT_ONCE_MAX turns run.

import { RsError } from '@rsio/common/lib/errors';
import { PULLS_AT_ONCE_MAX } from '../limits.ts';

export class PullTurns {
  private running = 0;
  private waiting: (() => void)[] = [];

  /** Executes the work in its turn. Throws E_BUSY if `cancel` is aborted before the turn. */
  async run<T>(cancel: AbortSignal, work: () => Promise<T>): Promise<T> {
    while (this.running >= PULLS_AT_ONCE_MAX && !cancel.aborted) await this.next(cancel);
    if (cancel.aborted) {
      // The turn may have been meant for this pull.
      this.waiting.shift()?.();
      throw new RsError('E_BUSY', 'The pull was stopped before it began');
    }
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }

  private next(cancel: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        cancel.removeEventListener('abort', go);
        this.waiting = this.waiting.filter((one) => one !== go);
        resolve();
      };
      cancel.addEventListener('abort', go);
      this.waiting.push(go);
    });
  }
}
