// Bounds of rssrv's volumes/statistics/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Interval at which a server process reports the figures of its sessions. */
export const FIGURES_INTERVAL_MS = 2_000;
/** Longest time for which an answer waits for the processes that were asked. */
export const FIGURES_WAIT_MS = 250;
/** Rates are measured over at least this time. */
export const RATE_OVER_MS = 1_000;
/** A volume of which a session has not reported for this time, though it has reported of others, is idle. */
export const RATE_IDLE_MS = 3_000;
/** A request that is in the storage for longer is shown as waiting. */
export const SLOW_IO_MS = 5_000;
/** An OPEN that has waited for longer is shown as waiting for the holder. */
export const HOLD_WAIT_MS = 1_000;
/** Volumes without a handle of which a session keeps the counters. */
export const COUNTERS_CLOSED_MAX = 256;
