// The interface to time. All code that waits or measures time takes a Clock, so that tests and the simulator can control time. Use
// monotonic time for intervals. Use wall-clock time only for times that people see, or for comparison with times from files or other
// processes.

import { GrowingQueue } from './growing-queue.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary starting point; never goes backwards. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  wallMs(): number;
  /** Calls `fire` once, when at least `delayMs` have passed. If the timer is cancelled first, does not call `fire`. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once, after the current code returns and before the next event. */
  soon(fire: () => void): void;
}

/** The longest delay of Node's timers. A Node timer with a longer delay fires at once. */
const NODE_TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * A settled promise runs `runDue` without Node's queue of ticks, which allocates about half a kilobyte each time it is emptied. One promise
 * serves all callbacks of an event.
 */
const SETTLED = Promise.resolve();
const due = new GrowingQueue<() => void>();
let isDueSoon = false;

/**
 * Runs all callbacks that are due. If one throws, the others do not run, because they might act on a state that an assertion refuses. The
 * uncaught exception then ends the process, however Node is configured to treat rejected promises.
 */
function runDue(): void {
  try {
    for (let fire = due.shift(); fire !== undefined; fire = due.shift()) fire();
  } catch (thrown) {
    due.takeAll();
    queueMicrotask(() => {
      throw thrown;
    });
  }
  isDueSoon = false;
}

/** Node defines the global `performance` with a getter, which would otherwise run at each reading of the clock. */
const { performance } = globalThis;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, fire) => new SystemTimer(delayMs, fire),
  soon: (fire) => {
    due.push(fire);
    if (isDueSoon) return;
    isDueSoon = true;
    void SETTLED.then(runDue);
  },
};

/** Node counts whole milliseconds from the start of its event loop's turn, so its timers may fire more than 1 ms early. */
class SystemTimer implements Timer {
  private readonly dueMs: number;
  private readonly fire: () => void;
  private timeout: NodeJS.Timeout;
  private readonly look = (): void => {
    const leftMs = this.dueMs - performance.now();
    if (!(leftMs > 0)) this.fire();
    else this.timeout = setTimeout(this.look, nodeDelay(leftMs));
  };

  constructor(delayMs: number, fire: () => void) {
    this.dueMs = performance.now() + delayMs;
    this.fire = fire;
    this.timeout = setTimeout(this.look, nodeDelay(delayMs));
  }

  cancel(): void {
    clearTimeout(this.timeout);
  }
}

function nodeDelay(delayMs: number): number {
  return Math.min(Math.ceil(delayMs), NODE_TIMER_MAX_MS);
}
