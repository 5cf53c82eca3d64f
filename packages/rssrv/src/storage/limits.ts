// Bounds of the storage below volumes. Units are in the names. Invariant: each bound is defined once, and relations between bounds are
// asserted here.

const MIB = 1024 * 1024;

// --- storage/files: volumes over several files, ranges.

/**
 * Maximum number of chunks that the answer to one extents query of a striped volume covers. The answer may therefore cover less than
 * the query.
 */
export const EXTENT_CHUNKS_MAX = 65_536;
/** Maximum number of files of one volume that are synced at the same time. */
export const SYNCS_AT_A_TIME = 2;

// Ranges.

/**
 * Initial size of the pieces in which a long DISCARD or ZERO is executed. The piece size is doubled after a piece that took less than
 * STEP_FAST_MS, and halved after a piece that took more than STEP_SLOW_MS.
 */
export const ZERO_STEP_BYTES = 16 * MIB;
export const STEP_MIN_BYTES = MIB;
export const STEP_MAX_BYTES = 1024 * MIB;
export const STEP_FAST_MS = 5;
export const STEP_SLOW_MS = 50;
// --- storage/io

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
 * If at least this number of calls of a volume use the thread pool or wait for it, reads of the volume go directly to the pool,
 * without an attempt on the event loop. An attempt starts a read of uncached data, and could wait for a place in the queue of the
 * disk, which has 64 places or more.
 */
export const CALLS_BEHIND_TRIES_MAX = 64;
/** Size of each write of zeros to storage that cannot zero ranges itself. */
export const ZERO_WRITE_BYTES = MIB;
