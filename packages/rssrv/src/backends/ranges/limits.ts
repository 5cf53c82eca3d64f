// Bounds of backends/ranges/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const MIB = 1024 * 1024;

/** First piece of a long DISCARD or ZERO that the kernel does; pieces that take less are doubled, those that take more halved. */
export const ZERO_STEP_BYTES = 16 * MIB;
export const STEP_MIN_BYTES = MIB;
export const STEP_MAX_BYTES = 1024 * MIB;
export const STEP_FAST_MS = 5;
export const STEP_SLOW_MS = 50;
/** A range helper that owes an answer for longer is killed. */
export const RANGE_HELPER_TIMEOUT_MS = 10_000;
/** After which a range helper that was lost is started anew, at the earliest: doubled with each loss, and as at first after one that lasted. */
export const RANGE_HELPER_RETRY_MS = 1_000;
export const RANGE_HELPER_RETRY_MAX_MS = 60_000;
