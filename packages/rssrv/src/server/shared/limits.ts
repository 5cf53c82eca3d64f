// Bounds for leaving a shared pool, and for its load. Units are in the names. Invariant: each bound is defined once. farm/limits.ts has the
// bounds of taking and owning a pool.

/** Longest time for which a clean hand-over of a shared pool waits for the I/O in progress. After this time, this server keeps the pool. */
export const HAND_OVER_CLOSE_MS = 10_000;
/** Time between two measurements of the load of the shared pools. */
export const LOAD_MS = 10_000;
/** Weight of the newest measurement in a load. This weight makes the load a mean over about a minute. */
export const LOAD_SHARE = 0.2;
/** In a load, this number of bytes per second counts as much as one request per second. */
export const LOAD_REQUEST_BYTES = 65_536;
