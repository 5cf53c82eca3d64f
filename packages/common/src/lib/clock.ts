// Time as a port: everything that waits or measures takes a Clock, so that tests and the simulator control time.
// Monotonic milliseconds are for intervals; wall-clock milliseconds are only for people (logs, "since").

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes backwards. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  wallMs(): number;
  /** Calls `fire` once, `delayMs` from now, unless the timer is cancelled before. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once, after the code that runs now and before the next event. */
  soon(fire: () => void): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    const timeout = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  // Not queueMicrotask, because it allocates an async resource and a bound function for each call, and this runs for every pump.
  soon: (fire) => process.nextTick(fire),
};
