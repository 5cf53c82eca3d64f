// Bounds of workers/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** Threads of a server process for storage that is not cached. One volume has half of them at most: as many as was measured best for reads of 8 KiB. */
export const STORAGE_THREADS = 16;

export const STANDBY_WORKERS = 1;
export const WORKER_START_TIMEOUT_MS = 10_000;
/** A worker that was told to end answers what it began, flushes and ends within this; then it is killed. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** Last words leave a worker's sockets, and its last message the channel, before the process goes. */
export const WORKER_FAREWELL_MS = 20;

/** How often the listener asks each process with sessions whether it runs, and how many times without an answer show that it does not. */
export const WORKER_PING_MS = 500;
export const WORKER_PINGS_UNANSWERED = 3;
