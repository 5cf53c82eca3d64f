// Bounds of rssrv's snapshots/reads/ folder: snapshots that clients open, and what differs between them. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Extents that one call of the file system returns, of one file. */
export const EXTENTS_READ_MAX = 1_024;
/** Calls for one answer. An answer covers less than was asked if the files have more extents. */
export const EXTENT_READS_PER_ANSWER_MAX = 16;
/** Comparisons at a time, in all and in one pool. Each occupies threads of the listener, for a long time if the pool hangs. */
export const COMPARISONS_MAX = 4;
export const COMPARISONS_PER_POOL_MAX = 1;
/** Comparisons that wait for others; further ones are refused. */
export const COMPARISONS_WAITING_MAX = 1_024;
/** A comparison waits at most this long for others. */
export const COMPARISON_WAIT_MS = 10_000;
/** A comparison that lasts longer, because the pool hangs, is not waited for. */
export const COMPARISON_MAX_MS = 20_000;
/** Ranges in one answer of the method volume-diff. */
export const DIFF_RANGES_PER_ANSWER_MAX = 8_192;
/** Chunks of a stripe of which one answer says what has changed, because an answer is put together chunk by chunk. */
export const STRIPE_CHUNKS_PER_ANSWER_MAX = 16_384;
