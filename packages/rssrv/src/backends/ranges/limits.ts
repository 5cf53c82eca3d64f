// Bounds of rssrv's backends/ranges/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const MIB = 1024 * 1024;

/**
 * Size of the first piece of a long DISCARD or ZERO in the kernel. The size is doubled after a piece that took less than STEP_FAST_MS, and
 * halved after one that took more than STEP_SLOW_MS, between STEP_MIN_BYTES and STEP_MAX_BYTES.
 */
export const ZERO_STEP_BYTES = 16 * MIB;
export const STEP_MIN_BYTES = MIB;
export const STEP_MAX_BYTES = 1024 * MIB;
export const STEP_FAST_MS = 5;
export const STEP_SLOW_MS = 50;
/** A range helper that does not answer within this time is killed. */
export const RANGE_HELPER_TIMEOUT_MS = 10_000;
/**
 * Minimum wait before a lost range helper is restarted. The wait doubles with each loss, and returns to the minimum once a helper has been
 * running long enough.
 */
export const RANGE_HELPER_RETRY_MS = 1_000;
export const RANGE_HELPER_RETRY_MAX_MS = 60_000;
