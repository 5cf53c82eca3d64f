// Bounds of rsiod's sys/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

export const STOP_WAIT_MAX_MS = 45_000;

/** Number of volumes attached or detached at a time if there are many. Each may run mount and losetup. */
export const VOLUMES_AT_ONCE = 16;
/** Interval at which carriers are checked if no program reports changes. Requests on a path without carrier are moved within 100 ms. */
export const CARRIER_POLL_MS = 100;
export const MONITOR_RESTART_MIN_MS = 100;
export const MONITOR_RESTART_MAX_MS = 30_000;
export const IP_LIST_TIMEOUT_MS = 5_000;
