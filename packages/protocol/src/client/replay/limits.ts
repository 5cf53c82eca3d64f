// Bounds of the replay log. Units are in the names.
// src/limits.ts asserts their relations to bounds of other folders.

const KIB = 1024;

/** Number of steps between half of `log-total` and all of it. At each step the largest log is flushed. */
export const LOG_TOTAL_STEPS = 16;
/** A replay log keeps data in aligned blocks of REPLAY_BLOCK_BYTES, in slabs of REPLAY_SLAB_BLOCKS blocks. */
export const REPLAY_BLOCK_BYTES = 4 * KIB;
export const REPLAY_SLAB_BLOCKS = 64;
/** Memory cost of a block in addition to its data, and memory cost of a range that was zeroed or discarded. */
export const REPLAY_BLOCK_COST_BYTES = 128;
export const REPLAY_RANGE_COST_BYTES = 128;
/** Maximum number of zeroed or discarded ranges in one log. */
export const REPLAY_RANGES_MAX = 16_384;
/** Maximum number of replay requests in flight; each has a buffer of SEGMENT_BYTES. */
export const REPLAY_REQUESTS_OUT_MAX = 16;
