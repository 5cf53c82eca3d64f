// Bounds of rssrv's snapshots/reads/ folder: snapshots that clients open, and comparisons. Units are in the names. src/limits.ts asserts
// that they agree with the bounds of other folders.

/** Maximum number of extents of a file that one system call returns. */
export const EXTENTS_READ_MAX = 1_024;
/** Maximum number of system calls per file for one answer. If the files have more extents, the answer covers less than requested. */
export const EXTENT_READS_PER_ANSWER_MAX = 16;
/** Maximum number of running comparisons, in all and in one pool. Each occupies threads of the listener, for long if the pool hangs. */
export const COMPARISONS_MAX = 4;
export const COMPARISONS_PER_POOL_MAX = 1;
/** Maximum number of waiting comparisons. Further ones are refused. */
export const COMPARISONS_WAITING_MAX = 1_024;
/** Longest time for which a comparison waits for its turn. */
export const COMPARISON_WAIT_MS = 10_000;
/** Longest time until the answer of a comparison. It is exceeded if the pool hangs. */
export const COMPARISON_MAX_MS = 20_000;
/** Maximum number of ranges in one answer of the method volume-diff. */
export const DIFF_RANGES_PER_ANSWER_MAX = 8_192;
/** Maximum number of chunks of a stripe that one answer covers, because an answer is merged chunk by chunk. */
export const STRIPE_CHUNKS_PER_ANSWER_MAX = 16_384;
