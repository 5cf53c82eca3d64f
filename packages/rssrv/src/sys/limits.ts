// Bounds for the code in rssrv's sys/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

/**
 * Maximum number of volumes that a listener syncs at the same time. Each sync has its own process, because hanging storage blocks a whole
 * process.
 */
export const STORAGE_SYNCS_MAX = 64;
/**
 * A take-over waits at most this long for the sync of its volume. After this time, the server refuses the take-over, but the sync
 * continues.
 */
export const STORAGE_SYNC_WAIT_MS = 15_000;

/** Maximum number of descriptors for which one helper takes advisory locks. */
export const LOCKS_PER_HELPER_MAX = 64;
export const LOCK_HELPER_TIMEOUT_MS = 5_000;
