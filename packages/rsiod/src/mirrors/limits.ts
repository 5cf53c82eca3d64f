// Bounds of rsiod's mirrors/ folder. Units are in the names. The file
// src/limits.ts asserts that the bounds of all folders agree.

/** Interval between two looks at replicas that do not answer. A look that is much later shows that this process stood still. */
export const PATIENCE_LOOK_MS = 200;
export const PATIENCE_LATE_MS = 500;
/**
 * What failed is tried again after RETRY_MIN_MS plus a random time up to RETRY_SPREAD_MS. Two clients that claim a mirror at the same time
 * would otherwise refuse each other for ever.
 */
export const RETRY_MIN_MS = 500;
export const RETRY_SPREAD_MS = 1_000;
/** How long the voters have to confirm the term for reads. Later, the reads ask again. */
export const CONFIRM_WAIT_MS = 2_000;
/** How long a detach waits until the servers have closed the replicas. */
export const CLOSE_WAIT_MS = 1_000;
/** How long a server has to make a replica larger: longer than it needs for a thick volume. */
export const GROW_CALL_MS = 610_000;
/** Interval between two requests to a server that was asked to make a replica larger and has not told its new size. */
export const GROW_RETRY_MS = 1_000;
