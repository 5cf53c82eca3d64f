// Bounds of rssrv's volumes/statistics/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Interval at which a server process reports the figures of its sessions. */
export const FIGURES_INTERVAL_MS = 2_000;
/** Longest time for which an answer waits for reports of the server processes. */
export const FIGURES_WAIT_MS = 250;
/** Shortest time over which rates are measured. */
export const RATE_OVER_MS = 1_000;
/** A volume is idle if the reports of its session have left it out for longer than this. */
export const RATE_IDLE_MS = 3_000;
/** A request that has been in the storage for longer than this is shown as waiting. */
export const SLOW_IO_MS = 5_000;
/** An OPEN that has waited for longer than this is shown as waiting for the holder. */
export const HOLD_WAIT_MS = 1_000;
/** Maximum number of volumes without an open handle whose counters a session keeps. */
export const COUNTERS_CLOSED_MAX = 256;
