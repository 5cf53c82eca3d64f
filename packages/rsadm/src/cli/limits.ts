// Bounds of rsadm. Units are in the names.
// The bounds of the control interface are in common's control/limits.ts.

/** Time over which `stats` measures rates: the default STATS_INTERVAL_MS, and the maximum STATS_INTERVAL_MAX_MS. */
export const STATS_INTERVAL_MS = 1_000;
export const STATS_INTERVAL_MAX_MS = 3_600_000;
/** Interval between attempts of `events -f` to reach an rssrv that does not answer. */
export const FOLLOW_RETRY_MS = 1_000;
