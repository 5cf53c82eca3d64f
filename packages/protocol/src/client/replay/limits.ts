// Bounds of the replay log: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

/** Past the half of it, the largest log is flushed each time that so large a part more is taken. */
export const LOG_TOTAL_STEPS = 16;
/** Data of a replay log is kept in aligned blocks of this size, in slabs of so many blocks. */
export const REPLAY_BLOCK_BYTES = 4 * KIB;
export const REPLAY_SLAB_BLOCKS = 64;
/** What a block takes besides its data; and what a range takes that was zeroed or discarded. */
export const REPLAY_BLOCK_COST_BYTES = 128;
export const REPLAY_RANGE_COST_BYTES = 128;
/** Ranges zeroed or discarded that one log keeps. */
export const REPLAY_RANGES_MAX = 16_384;
/** Requests of a replay under way at a time; each has a buffer of SEGMENT_BYTES. */
export const REPLAY_REQUESTS_OUT_MAX = 16;
