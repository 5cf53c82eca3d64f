// Bounds of the replay log. Units are in the names.
// Relations to bounds of other folders are asserted in src/limits.ts.

const KIB = 1024;

/**
 * The configured limit `log-total` is divided into LOG_TOTAL_STEPS steps. When more than half of the limit is used, the client flushes the
 * log that is then the largest. The client flushes again after each further step.
 */
export const LOG_TOTAL_STEPS = 16;
/** A replay log stores data in aligned blocks of REPLAY_BLOCK_BYTES and allocates the blocks in slabs of REPLAY_SLAB_BLOCKS. */
export const REPLAY_BLOCK_BYTES = 4 * KIB;
export const REPLAY_SLAB_BLOCKS = 64;
/** Memory needed by a block in addition to its data, and memory needed by a zeroed or discarded range. */
export const REPLAY_BLOCK_COST_BYTES = 128;
export const REPLAY_RANGE_COST_BYTES = 128;
/** Maximum number of zeroed or discarded ranges in one log. */
export const REPLAY_RANGES_MAX = 16_384;
/** Maximum number of replay requests in flight; each has a buffer of SEGMENT_BYTES. */
export const REPLAY_REQUESTS_OUT_MAX = 16;
