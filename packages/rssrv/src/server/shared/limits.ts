// Bounds for leaving a shared pool. Units are in the names. Invariant: a bound has one place.
// farm/limits.ts has the bounds of taking and owning a pool.

/** Longest time for which a clean end of a shared pool waits for the I/O in progress. After it, the pool stays with this server. */
export const HAND_OVER_CLOSE_MS = 10_000;
