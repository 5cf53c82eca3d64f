// Bounds of rssrv's storage/files/ folder: volumes over several files, the range helper. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

/** Maximum number of chunks for which one extents query of a striped volume gives an answer, which may cover less than the request. */
export const EXTENT_CHUNKS_MAX = 65_536;
/** Number of files of one volume that are synced at a time. */
export const SYNCS_AT_A_TIME = 2;

// The range helper.

/**
 * Initial size of the pieces in which a long DISCARD or ZERO is executed. The piece size is doubled after a piece that took less than
 * STEP_FAST_MS, and halved after a piece that took more than STEP_SLOW_MS.
 */
export const ZERO_STEP_BYTES = 16 * MIB;
export const STEP_MIN_BYTES = MIB;
export const STEP_MAX_BYTES = 1024 * MIB;
export const STEP_FAST_MS = 5;
export const STEP_SLOW_MS = 50;
/** A range helper that does not answer within RANGE_HELPER_TIMEOUT_MS is killed. */
export const RANGE_HELPER_TIMEOUT_MS = 10_000;
/**
 * Minimum delay before a failed range helper is restarted. The delay doubles with each failure, up to RANGE_HELPER_RETRY_MAX_MS. The delay
 * returns to the minimum if the helper has run for at least RANGE_HELPER_RETRY_MAX_MS.
 */
export const RANGE_HELPER_RETRY_MS = 1_000;
export const RANGE_HELPER_RETRY_MAX_MS = 60_000;
