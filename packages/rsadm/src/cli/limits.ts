// Bounds of rsadm. Units are in the names.
// The bounds of the control interface are in common's control/limits.ts.

/** Time over which `stats` measures rates, unless it is told another. */
export const STATS_INTERVAL_MS = 1_000;
export const STATS_INTERVAL_MAX_MS = 3_600_000;
/** Interval between two attempts of a command that follows a server which does not answer. */
export const FOLLOW_RETRY_MS = 1_000;
