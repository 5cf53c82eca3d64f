// Bounds of rssrv's sys/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Maximum number of volumes that a listener syncs at a time. Each sync has its own process, because hanging storage blocks the whole
 * process.
 */
export const STORAGE_SYNCS_MAX = 64;
/** A take-over waits this long for the sync of its volume. Then the take-over is refused, and the sync continues. */
export const STORAGE_SYNC_WAIT_MS = 15_000;

/** Maximum number of descriptors for which one helper takes advisory locks. */
export const LOCKS_PER_HELPER_MAX = 64;
export const LOCK_HELPER_TIMEOUT_MS = 5_000;
