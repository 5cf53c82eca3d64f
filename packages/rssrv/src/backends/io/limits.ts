// Bounds of rssrv's backends/io/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

/** A call on the event loop that takes longer than this counts as slow. */
export const SLOW_CALL_US = 120;
/**
 * For each of this many bytes, a call may take one microsecond longer before it counts as slow, because copying cached data also takes
 * time.
 */
export const SLOW_CALL_BYTES_PER_US = 2_000;
/**
 * Number of calls watched after a slow one. If another of them waits for the storage, the next POOL_RUN_REQUESTS requests go to the thread
 * pool.
 */
export const SLOW_CALL_WATCHED_CALLS = 16;
export const POOL_RUN_REQUESTS = 512;
/**
 * If calls are in the thread pool and none has ended for this long, the storage may hang. The volume then makes no calls on the event loop.
 */
export const STORAGE_SILENT_MS = 500;
/** Size of one write of zeros if the storage cannot zero ranges itself. */
export const ZERO_WRITE_BYTES = MIB;
