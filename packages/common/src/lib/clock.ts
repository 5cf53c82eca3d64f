// The interface to time. All code that waits or measures time takes a Clock, so that tests and the simulator can control time. Use
// monotonic time for intervals. Use wall-clock time only for times that people see, or for comparison with times from files or other
// processes.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since an arbitrary starting point; never goes backwards. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. */
  wallMs(): number;
  /** Calls `fire` once, `delayMs` from now, unless the timer is cancelled first. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once, after the current code returns and before the next event. */
  soon(fire: () => void): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    const timeout = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  // Use nextTick, because each call of queueMicrotask would allocate an async resource and a bound function.
  soon: (fire) => process.nextTick(fire),
};
