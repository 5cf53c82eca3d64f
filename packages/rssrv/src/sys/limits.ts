// Bounds for the code in rssrv's sys/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

/**
 * Maximum number of volumes that a listener syncs at the same time. Each sync has its own process, because hanging storage blocks a whole
 * process.
 */
export const STORAGE_SYNCS_MAX = 64;
/** Syncs in progress from which on none begins that nobody depends on, so that disks that hang leave room for the others. */
export const SPARE_STORAGE_SYNCS_MAX = 8;
/**
 * A take-over waits at most this long for the sync of its volume. After this time, the server refuses the take-over, but the sync
 * continues.
 */
export const STORAGE_SYNC_WAIT_MS = 15_000;

/** Maximum number of volumes of pools that a listener opens at the same time. Each occupies a thread for a moment. */
export const OPENED_AT_ONCE_MAX = 16;

/**
 * Maximum number of descriptors for which one helper takes advisory locks or looks for marks. The start of a helper costs as much as a
 * few hundred looks.
 */
export const LOCKS_PER_HELPER_MAX = 500;
export const LOCK_HELPER_TIMEOUT_MS = 5_000;
/**
 * Interval at which the listener looks whether the server processes have ended that have the files of its volumes open. After a look that
 * took long, it waits MARK_LOOK_REST times as long.
 */
export const MARK_LOOK_MS = 1_000;
export const MARK_LOOK_REST = 10;
/** Maximum number of descriptors of helpers that the listener inspects to find the server process that has a file open. */
export const MARK_HOLDER_LOOKS_MAX = 4_000;

/**
 * A listener checks at the interval DESCRIPTOR_CHECK_MS whether it can open another file. While no file can be opened, DESCRIPTOR_LOG_MS is
 * the interval between log lines.
 */
export const DESCRIPTOR_CHECK_MS = 1_000;
export const DESCRIPTOR_LOG_MS = 60_000;
