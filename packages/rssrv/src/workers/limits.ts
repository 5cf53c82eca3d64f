// Bounds for the code in rssrv's workers/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

/**
 * Number of threads with which a server process accesses storage that is not cached. One volume uses at most half of the threads. In
 * measurements with 8 KiB reads, this number of threads was the fastest.
 */
export const STORAGE_THREADS = 16;
/**
 * Number of further threads for calls that wait for no share: syncs, size checks, opening and closing files, and writing the log. A volume
 * whose storage hangs usually occupies at most two of these threads. So four such volumes leave some of them, and one of STORAGE_THREADS.
 */
const UNSHARED_THREADS = 10;
/** Number of threads in the pool of a server process. */
export const POOL_THREADS = STORAGE_THREADS + UNSHARED_THREADS;

export const STANDBY_WORKERS = 1;
export const WORKER_START_TIMEOUT_MS = 10_000;
/** A worker that has been told to exit must answer the requests in progress, flush and exit within this time. Otherwise it is killed. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** A worker delays its exit by this time, so that its last frames and its last message to the listener can be sent. */
export const WORKER_FAREWELL_MS = 20;

/**
 * Interval at which the listener pings each process that has sessions. A process is blocked if it sleeps and has not answered a ping for
 * WORKER_PINGS_UNANSWERED intervals.
 */
export const WORKER_PING_MS = 500;
export const WORKER_PINGS_UNANSWERED = 3;
