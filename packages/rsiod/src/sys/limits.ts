// Bounds for the code in rsiod's sys/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that these bounds
// agree with those of other folders.

export const STOP_WAIT_MAX_MS = 45_000;

/**
 * Maximum number of volumes that are attached or detached at a time. The number is limited because each of these operations may run mount
 * and losetup.
 */
export const VOLUMES_AT_ONCE = 16;
/**
 * CARRIER_POLL_MS is the interval at which rsiod polls the carriers of interfaces if the program `ip` is missing. The interval is short, so
 * that requests on a path without a carrier soon move to another path.
 */
export const CARRIER_POLL_MS = 100;
export const MONITOR_RESTART_MIN_MS = 100;
export const MONITOR_RESTART_MAX_MS = 30_000;
export const IP_LIST_TIMEOUT_MS = 5_000;
