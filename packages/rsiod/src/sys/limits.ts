// Bounds of sys/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const STOP_WAIT_MAX_MS = 45_000;

/** Volumes that are attached or detached at a time when many are: each of them may run mount and losetup. */
export const VOLUMES_AT_ONCE = 16;
/** How often carriers are looked at where no program tells of changes: requests of a path without carrier go elsewhere within 100 ms. */
export const CARRIER_POLL_MS = 100;
export const MONITOR_RESTART_MIN_MS = 100;
export const MONITOR_RESTART_MAX_MS = 30_000;
export const IP_LIST_TIMEOUT_MS = 5_000;
