// Bounds of rssrv's server/workers/ folder: server processes. Units are in the names. src/limits.ts asserts that these bounds agree with
// the bounds of other folders.

/**
 * Number of threads with which a server process accesses storage that is not cached. One volume uses at most half of the threads. This
 * number was the fastest in measurements with 8 KiB reads.
 */
export const STORAGE_THREADS = 16;
/**
 * Number of further threads for syncs, size checks, opening and closing files, and writing the log. A volume whose storage hangs usually
 * occupies at most two of these threads, or three if it has several files, so that four such volumes leave some threads free.
 */
const UNSHARED_THREADS = 14;
/** Number of threads in the pool of a server process. */
export const POOL_THREADS = STORAGE_THREADS + UNSHARED_THREADS;

/** Maximum number of log lines about failed opens of one volume in each interval of the rate-limited log. */
export const FAILED_OPENS_LOGGED_MAX = 4;

export const STANDBY_WORKERS = 1;
/** Time within which a worker must become ready. A machine that is booting, or that is emulated, may need more than ten seconds. */
export const WORKER_START_TIMEOUT_MS = 60_000;
/** Time within which a worker must answer the requests in progress, flush and exit. The listener kills a slower worker. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** A worker delays its exit by this time, so that it can send its last frames and messages. */
export const WORKER_FAREWELL_MS = 20;

/**
 * Interval at which the listener pings each worker that has sessions. A worker is blocked if it sleeps and has not answered a ping for
 * WORKER_PINGS_UNANSWERED intervals.
 */
export const WORKER_PING_MS = 500;
export const WORKER_PINGS_UNANSWERED = 3;

/**
 * Pause between two announcements of a list with 1,000 volumes. The pause is proportional to the length of the list, and is left out if it
 * would be shorter than LIST_PAUSE_IGNORED_MS.
 */
export const LIST_PAUSE_MS_PER_1000 = 100;
export const LIST_PAUSE_IGNORED_MS = 20;
/** Maximum number of changed volumes remembered during a pause. If more volumes change, the list is announced to all clients. */
export const LIST_CHANGES_HELD_MAX = 1_000;
