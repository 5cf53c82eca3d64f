// Bounds of rssrv's admin/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Changes that wait for the one in progress. The next one is refused. */
export const CHANGES_WAITING_MAX = 256;
/** Time for which a server that stops waits for the change in progress. A change that is cut off is finished or undone by the next start. */
export const CHANGE_STOP_WAIT_MS = 10_000;
/** Interval at which the free space of the pools is measured. */
export const POOL_MEASURE_MS = 5_000;
/** Interval at which removed volumes are looked through for those whose time is over. */
export const PURGE_INTERVAL_MS = 10 * 60 * 1_000;
/** Sizes of volume files that are read at a time for a list. */
export const SIZE_READS_MAX = 64;
