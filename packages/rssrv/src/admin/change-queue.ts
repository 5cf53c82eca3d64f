// Executes the changes of a server one after another: reloads, and changes of volumes and clients by command. Invariants: no two changes
// overlap; a change that fails does not stop those behind it; no more than CHANGES_WAITING_MAX commands wait, none of them for longer than
// CHANGE_WAIT_MS, and a refusal names the change that the others wait for.

import { type Clock, systemClock, type Timer } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import { CHANGE_WAIT_MS, CHANGES_WAITING_MAX } from './limits.ts';

/** The change that is being executed. */
export interface ChangeInProgress {
  /** What it changes and who asked for it, such as `the creation of volume db, by an administrator on the server`. */
  readonly what: string;
  /** Wall-clock time at which it began. */
  readonly sinceMs: number;
}

const REMEDY = 'if it hangs, check the file systems of the pools (rsadm status)';

export class ChangeQueue {
  private readonly clock: Clock;
  private last: Promise<unknown> = Promise.resolve();
  private waitingCount = 0;
  private inProgress: ChangeInProgress | null = null;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  get current(): ChangeInProgress | null {
    return this.inProgress;
  }

  /** Number of changes that wait for the one in progress. */
  get waiting(): number {
    return this.waitingCount;
  }

  /**
   * Executes the change when those before it have ended. Throws E_LIMIT if too many wait, E_TIMEOUT if the change could not begin within
   * CHANGE_WAIT_MS and will not be executed, and whatever the change throws. `what`: see ChangeInProgress.
   */
  run<T>(change: () => Promise<T>, what = 'a change by command'): Promise<T> {
    if (this.waitingCount >= CHANGES_WAITING_MAX)
      return Promise.reject(
        new RsError('E_LIMIT', `${CHANGES_WAITING_MAX} changes of the server are already waiting for ${this.currentText}: try again later`),
      );
    let isLate = false;
    return new Promise<T>((resolve, reject) => {
      const timer = this.clock.after(CHANGE_WAIT_MS, () => {
        isLate = true;
        const text = `Nothing was changed, because the server was busy for ${printDuration(CHANGE_WAIT_MS)} with ${this.currentText}`;
        reject(new RsError('E_TIMEOUT', `${text}: ${REMEDY}, and repeat the command`));
      });
      const begin = async (): Promise<T | null> => {
        timer.cancel();
        return isLate ? null : change();
      };
      this.runOwn(begin, what).then((result) => resolve(result as T), reject);
    });
  }

  /** Like `run`, for changes of which the server itself makes a few at most. They are never refused, however many commands wait. */
  runOwn<T>(change: () => Promise<T>, what = 'a change of the server itself'): Promise<T> {
    this.waitingCount++;
    const result = this.last.then(async () => {
      this.waitingCount--;
      this.inProgress = { what, sinceMs: this.clock.wallMs() };
      try {
        return await change();
      } finally {
        this.inProgress = null;
      }
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

  private get currentText(): string {
    if (this.inProgress === null) return 'other changes';
    const { what, sinceMs } = this.inProgress;
    return `${what}, in progress for ${printDuration(Math.max(0, Math.floor((this.clock.wallMs() - sinceMs) / 1_000) * 1_000))}`;
  }
}
