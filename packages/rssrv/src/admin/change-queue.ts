// Executes the changes of a server one after another: reloads, and commands that change volumes or clients. Invariants: changes do not
// overlap, except that a change may step aside and work while other changes run. Other changes do not see the results of this work. A
// failed change does not stop later changes. At most CHANGES_WAITING_MAX commands wait, each for at most CHANGE_WAIT_MS; a refused command
// gets the name of the change in progress. At most CHANGES_ASIDE_MAX of the changes that have stepped aside work at a time.

import { assert, counted } from '@rsio/base/lib/assert';
import { type Clock, systemClock, type Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Turn } from '../pools/requests/turn.ts';
import { ASIDE_WAIT_MS, CHANGE_WAIT_MS, CHANGES_ASIDE_MAX, CHANGES_WAITING_MAX } from './limits.ts';

/** The change that is being executed. */
export interface ChangeInProgress {
  /** Names the change and its asker, such as `the creation of volume db, by an administrator on the server`. */
  readonly what: string;
  /** Wall-clock time at which the change began. */
  readonly sinceMs: number;
}

const REMEDY = 'if it hangs, check the file systems of the pools (rsadm status)';

export class ChangeQueue {
  private readonly clock: Clock;
  /**
   * Callbacks that begin the waiting changes, in order. Whenever the change in progress ends or steps aside, the first callback is called.
   */
  private readonly next: (() => void)[] = [];
  /** True while a change has the turn. */
  private isTaken = false;
  /** All changes that have not ended: the change in progress, the changes that have stepped aside, and the waiting changes. */
  private readonly unfinished = new Set<Promise<unknown>>();
  private readonly aside: ChangeInProgress[] = [];
  /**
   * Number of the changes that have stepped aside and are working. Further changes that have stepped aside wait in `waitingAside`. When one
   * of the working changes ends its work, the oldest change in `waitingAside` begins to work.
   */
  private working = 0;
  private readonly waitingAside: (() => void)[] = [];
  private waitingCount = 0;
  private inProgress: ChangeInProgress | null = null;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  /** The change in progress, or else the oldest change that has stepped aside; null if there is neither. */
  get current(): ChangeInProgress | null {
    return this.inProgress ?? this.aside[0] ?? null;
  }

  /** The current change, and how many wait for it. */
  get view(): (ChangeInProgress & { readonly waiting: number }) | null {
    const { current, waiting } = this;
    return current === null ? null : { ...current, waiting };
  }

  /** The oldest change that has stepped aside; null if there is none. */
  get workingAside(): string | null {
    return this.aside[0]?.what ?? null;
  }

  /** Number of changes that wait for the change in progress. */
  get waiting(): number {
    return this.waitingCount;
  }

  /**
   * Executes the change when all earlier changes have ended. Throws E_LIMIT if too many changes wait. Throws E_TIMEOUT if the change could
   * not begin within CHANGE_WAIT_MS; the change is then never executed. Rethrows any other error of the change. `what` names the change and
   * its asker (see ChangeInProgress).
   */
  run<T>(change: (turn: Turn) => Promise<T>, what: string): Promise<T> {
    if (this.waitingCount >= CHANGES_WAITING_MAX)
      return Promise.reject(
        new RsError(
          'E_LIMIT',
          `${CHANGES_WAITING_MAX} changes of the server are already waiting for ${this.currentText}: try again later`,
          {
            busyWith: this.currentText,
          },
        ),
      );
    let isLate = false;
    return new Promise<T>((resolve, reject) => {
      const timer = this.clock.after(CHANGE_WAIT_MS, () => {
        isLate = true;
        const busyWith = this.currentText;
        const text = `Nothing was changed, because the server was busy for ${printDuration(CHANGE_WAIT_MS)} with ${busyWith}`;
        reject(new RsError('E_TIMEOUT', `${text}: ${REMEDY}, and repeat the command`, { busyWith }));
      });
      const begin = async (turn: Turn): Promise<T | null> => {
        timer.cancel();
        return isLate ? null : change(turn);
      };
      this.runOwn(begin, what).then((result) => resolve(result as T), reject);
    });
  }

  /** Never throws, because changes by the server itself and by local programs are always wanted. */
  checkWanted(): void {
    // The function `gated` checks the changes of clients.
  }

  /**
   * Executes one of the few changes of the server itself, in the same queue as `run`. A change of the server itself is never refused,
   * however many commands wait.
   */
  runOwn<T>(change: (turn: Turn) => Promise<T>, what: string): Promise<T> {
    const result = this.execute(change, what);
    const ended = result.then(
      () => void this.unfinished.delete(ended),
      () => void this.unfinished.delete(ended),
    );
    this.unfinished.add(ended);
    return result;
  }

  private async execute<T>(change: (turn: Turn) => Promise<T>, what: string): Promise<T> {
    this.waitingCount++;
    await this.begin(false);
    this.waitingCount = counted(this.waitingCount - 1, 'waiting changes');
    const now: ChangeInProgress = { what, sinceMs: this.clock.wallMs() };
    this.inProgress = now;
    try {
      return await change({ aside: (work) => this.stepAside(now, work) });
    } finally {
      this.end();
    }
  }

  /** Lets other changes run during `work`. After the work, the change `now` continues before all waiting changes. */
  private async stepAside<T>(now: ChangeInProgress, work: () => Promise<T>): Promise<T> {
    assert(this.inProgress === now, 'A change steps aside that is not in progress');
    this.aside.push(now);
    this.end();
    try {
      await this.beginAside();
      try {
        return await work();
      } finally {
        this.working = counted(this.working - 1, 'changes in progress');
        this.nextAside();
      }
    } finally {
      await this.begin(true);
      this.aside.splice(this.aside.indexOf(now), 1);
      this.inProgress = now;
    }
  }

  /**
   * Waits until fewer than CHANGES_ASIDE_MAX of the changes that have stepped aside are working. Throws E_TIMEOUT after ASIDE_WAIT_MS; the
   * error names the oldest change that has stepped aside.
   */
  private beginAside(): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        timer.cancel();
        this.working++;
        resolve();
      };
      const timer = this.clock.after(ASIDE_WAIT_MS, () => {
        this.waitingAside.splice(this.waitingAside.indexOf(begin), 1);
        const text = `Nothing was changed, because for ${printDuration(ASIDE_WAIT_MS)} the server was busy with ${CHANGES_ASIDE_MAX} changes`;
        const busyWith = this.aside[0]?.what ?? 'others';
        reject(new RsError('E_TIMEOUT', `${text} such as ${busyWith}: ${REMEDY}, and repeat the command`, { busyWith }));
      });
      this.waitingAside.push(begin);
      this.nextAside();
    });
  }

  private nextAside(): void {
    if (this.working < CHANGES_ASIDE_MAX) this.waitingAside.shift()?.();
  }

  /** Waits for a turn. With `isFirst`, the caller gets its turn before all waiting changes. */
  private begin(isFirst: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (this.isTaken && isFirst) this.next.unshift(resolve);
      else if (this.isTaken) this.next.push(resolve);
      else {
        this.isTaken = true;
        resolve();
      }
    });
  }

  private end(): void {
    this.inProgress = null;
    const begin = this.next.shift();
    if (begin === undefined) this.isTaken = false;
    else begin();
  }

  /**
   * Resolves when no change is in progress or waiting, and none has stepped aside. Resolves after `limitMs` in any case, because a change
   * may hang in a file system.
   */
  async idle(clock: Clock, limitMs: number): Promise<void> {
    let isOver = false;
    let timer: Timer | null = null;
    const over = new Promise<void>((resolve) => {
      timer = clock.after(limitMs, () => {
        isOver = true;
        resolve();
      });
    });
    while (this.unfinished.size > 0 && !isOver) await Promise.race([Promise.all(this.unfinished), over]);
    (timer as Timer | null)?.cancel();
  }

  private get currentText(): string {
    if (this.inProgress === null) return 'other changes';
    const { what, sinceMs } = this.inProgress;
    return `${what}, in progress for ${printDuration(Math.max(0, Math.floor((this.clock.wallMs() - sinceMs) / 1_000) * 1_000))}`;
  }
}
