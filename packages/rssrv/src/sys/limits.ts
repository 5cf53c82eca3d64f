// Bounds of sys/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** Volumes that a listener syncs at a time, each in a process of its own: storage that hangs keeps one. */
export const STORAGE_SYNCS_MAX = 64;
/** So long a take-over waits for the sync of its volume; then it is refused, and the sync goes on. */
export const STORAGE_SYNC_WAIT_MS = 15_000;

/** Descriptors whose advisory locks one helper takes. */
export const LOCKS_PER_HELPER_MAX = 64;
export const LOCK_HELPER_TIMEOUT_MS = 5_000;
