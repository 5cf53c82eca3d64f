// Time as a port: everything that waits or measures takes a Clock, so that tests and the simulator own time.
// Monotonic milliseconds are for intervals, wall milliseconds only for people (logs, "since").

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  wallMs(): number;
  /** Calls `fire` once, `delayMs` from now, unless the timer is cancelled before. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once, when what runs now has ended and before anything else is received. */
  soon(fire: () => void): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    const timeout = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  // Not queueMicrotask, which makes a resource that may be watched and a function bound to it for each call: this runs for every pump.
  soon: (fire) => process.nextTick(fire),
};
