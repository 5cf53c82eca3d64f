// Bounds of rssrv's workers/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Number of threads in a server process for storage that is not cached. One volume uses at most half of them. This number was the fastest
 * in measurements with 8 KiB reads.
 */
export const STORAGE_THREADS = 16;

export const STANDBY_WORKERS = 1;
export const WORKER_START_TIMEOUT_MS = 10_000;
/** A worker that has been told to exit must answer its executing requests, flush and exit within this time. Otherwise it is killed. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** Time for a worker's last frames and its last message to the listener to be sent before the process exits. */
export const WORKER_FAREWELL_MS = 20;

/**
 * Interval at which the listener pings each process that has sessions. If WORKER_PINGS_UNANSWERED pings in a row are not answered, the
 * process is not running.
 */
export const WORKER_PING_MS = 500;
export const WORKER_PINGS_UNANSWERED = 3;
