// Bounds of rssrv's admin/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Changes that wait for the one in progress. The next one is refused. */
export const CHANGES_WAITING_MAX = 256;
/** Time for which a command waits until its change begins. The change in progress may hang in a file system. */
export const CHANGE_WAIT_MS = 60_000;
/**
 * Changes that work aside at a time. Each may occupy a thread of the listener for as long as its file system hangs, and one of the four is left
 * for everything else.
 */
export const CHANGES_ASIDE_MAX = 3;
/** Time for which a change waits until it may work aside: as long as a very fragmented volume is cloned, twice. */
export const ASIDE_WAIT_MS = 180_000;
/** Time for which a server that stops waits for the change in progress. A change that is cut off is finished or undone by the next start. */
export const CHANGE_STOP_WAIT_MS = 10_000;
/** Interval at which the free space of the pools is measured, and the interval while one of them is near its reserve. */
export const POOL_MEASURE_MS = 5_000;
export const POOL_MEASURE_NEAR_MS = 250;
/** Interval at which removed volumes are looked through for those whose time is over. */
export const PURGE_INTERVAL_MS = 10 * 60 * 1_000;
/** Files of one pool that are looked at a time for a list, and the time without an answer after which a list does without the rest. */
export const USED_LANES = 2;
export const USED_SILENT_MS = 1_000;
