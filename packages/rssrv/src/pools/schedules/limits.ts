// Bounds of rssrv's pools/schedules/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Maximum number of rules of a schedule, and of snapshots that all its rules keep together. */
export const SCHEDULE_RULES_MAX = 8;
export const SCHEDULE_KEPT_MAX = 900;
export const SCHEDULE_TEXT_MAX_CHARS = 256;
export const SCHEDULE_PERIOD_MIN_MS = 60_000;
export const SCHEDULE_PERIOD_MAX_MS = 366 * 24 * 60 * 60 * 1_000;
/** A rule stops making snapshots once it has this many more than it keeps, because the old ones could not be removed. */
export const SCHEDULE_EXTRA_MAX = 16;
