// Bounds of rsiod's sys/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

export const STOP_WAIT_MAX_MS = 45_000;

/** Maximum number of volumes that are attached or detached at a time. The number is limited because each may run mount and losetup. */
export const VOLUMES_AT_ONCE = 16;
/**
 * Interval at which rsiod checks carriers if no program reports changes. It is short so that requests on a path without a carrier move to
 * another path within 100 ms.
 */
export const CARRIER_POLL_MS = 100;
export const MONITOR_RESTART_MIN_MS = 100;
export const MONITOR_RESTART_MAX_MS = 30_000;
export const IP_LIST_TIMEOUT_MS = 5_000;
