// Bounds of rssrv's snapshots/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Time within which a step of a change of snapshots should end: in any case, for each GiB of the volume, and at most. A very fragmented file
 * takes longest to clone and to delete: with extents of 4 KiB at a distance of 8 KiB, a second for each GiB, and as long for the rests between.
 */
export const SNAPSHOT_CHANGE_MS = 120_000;
export const SNAPSHOT_MS_PER_GIB = 3_000;
export const SNAPSHOT_CHANGE_MAX_MS = 500_000;
/** Interval at which the schedules are looked through at the latest, because the clock of the machine may be set. */
export const SCHEDULE_LOOK_MS = 30_000;
/** Time after which a snapshot that failed is made again, and the most that it grows to while it keeps failing. */
export const SCHEDULE_RETRY_MS = 60_000;
export const SCHEDULE_RETRY_MAX_MS = 10 * 60_000;
/** Volumes that one line of the log names. */
export const SCHEDULE_NAMED_MAX = 4;
