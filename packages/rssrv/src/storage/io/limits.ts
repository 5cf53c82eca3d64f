// Bounds of rssrv's storage/io/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

/** A call on the event loop that takes longer than SLOW_CALL_US counts as slow. */
export const SLOW_CALL_US = 120;
/** Copying cached data takes time, so the limit SLOW_CALL_US is raised by 1 µs for every SLOW_CALL_BYTES_PER_US bytes transferred. */
export const SLOW_CALL_BYTES_PER_US = 2_000;
/**
 * Number of calls that are watched after a slow call. If a watched call waits for the storage, the next POOL_RUN_REQUESTS requests go to
 * the thread pool.
 */
export const SLOW_CALL_WATCHED_CALLS = 16;
export const POOL_RUN_REQUESTS = 512;
/**
 * If no call in the thread pool ends within STORAGE_SILENT_MS, the storage may be hanging. While the storage may be hanging, no call of the
 * volume runs on the event loop.
 */
export const STORAGE_SILENT_MS = 500;
/**
 * While this number of calls of a volume use the thread pool or wait for it, its reads go to the pool without an attempt on the event loop.
 * An attempt starts a read of uncached data, and could wait for a place in the queue of the disk, which has 64 places or more.
 */
export const CALLS_BEHIND_TRIES_MAX = 64;
/** Size of each write of zeros to storage that cannot zero ranges itself. */
export const ZERO_WRITE_BYTES = MIB;
