// Bounds of rsiod's mirrors/ folder. Units are in the names. The file
// src/limits.ts asserts that the bounds of all folders agree.

/** Interval between checks of replicas that do not answer. If a check is PATIENCE_LATE_MS late, this process was not running. */
export const PATIENCE_LOOK_MS = 200;
export const PATIENCE_LATE_MS = 500;
/**
 * A failed attempt is repeated after RETRY_MIN_MS plus a random time up to RETRY_SPREAD_MS. Without the random part, two clients that claim
 * a mirror at the same time could obstruct each other forever.
 */
export const RETRY_MIN_MS = 500;
export const RETRY_SPREAD_MS = 1_000;
/** Time limit for the voters to confirm the term for reads. If the time is over, the reads ask again. */
export const CONFIRM_WAIT_MS = 2_000;
/** How long a detach waits until the servers have closed the replicas. */
export const CLOSE_WAIT_MS = 1_000;
/** Time limit for a server to grow a replica. The growth of a thick volume takes less time. */
export const GROW_CALL_MS = 610_000;
/** Interval between requests to grow a replica, until the server reports the new size. */
export const GROW_RETRY_MS = 1_000;
