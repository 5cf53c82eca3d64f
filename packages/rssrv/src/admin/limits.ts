// Bounds of rssrv's admin/ folder. Units are in the names.
// src/limits.ts asserts that these bounds agree with the bounds of other folders.

/** Maximum number of changes that wait for the change in progress. Further ones are refused. */
export const CHANGES_WAITING_MAX = 256;
/** Time for which a command waits until its change begins. The change in progress may hang in a file system. */
export const CHANGE_WAIT_MS = 60_000;
/**
 * Maximum number of changes that work aside. Each may occupy one of the listener's four threads for as long as its file system hangs, and
 * one thread is left for other work.
 */
export const CHANGES_ASIDE_MAX = 3;
/** Maximum time for which a change waits until it may work aside: twice the time to clone a very fragmented volume. */
export const ASIDE_WAIT_MS = 180_000;
/** Time for which a server that stops waits for the change in progress. The next start finishes or undoes an interrupted change. */
export const CHANGE_STOP_WAIT_MS = 10_000;
/** Interval at which the free space of the pools is measured, and the interval while one of them is near its reserve. */
export const POOL_MEASURE_MS = 5_000;
export const POOL_MEASURE_NEAR_MS = 250;
/** Interval at which removed volumes are deleted whose time to be restored is over. */
export const PURGE_INTERVAL_MS = 10 * 60 * 1_000;
/** Number of files of one pool that a list inspects at a time, and the time without an answer after which it leaves out the rest. */
export const USED_LANES = 2;
export const USED_SILENT_MS = 1_000;
