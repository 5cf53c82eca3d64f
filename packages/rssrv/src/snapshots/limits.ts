// Bounds of rssrv's snapshots/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Time within which a step of a change of snapshots should end. A very fragmented file takes longest to clone and to delete. */
export const SNAPSHOT_CHANGE_MS = 120_000;
/** Interval at which the schedules are looked through at the latest, because the clock of the machine may be set. */
export const SCHEDULE_LOOK_MS = 30_000;
/** Time after which a snapshot that failed is made again, and the most that it grows to while it keeps failing. */
export const SCHEDULE_RETRY_MS = 60_000;
export const SCHEDULE_RETRY_MAX_MS = 10 * 60_000;
/** Volumes that one line of the log names. */
export const SCHEDULE_NAMED_MAX = 4;
