// Bounds of common's manage/volumes folder: the volume commands of rsadm and rsconfig. The name of each bound contains its unit. The bounds
// of rssrv are in its own folders.

/** Maximum number of ranges that the command `volume diff` shows. The command keeps all ranges in memory. */
export const DIFF_RANGES_SHOWN_MAX = 2_000_000;

/**
 * For how long a promotion without a terminal looks whether the source is still connected. A source that has just failed counts as
 * connected until its paths have been silent for DEAD_AFTER_MS.
 */
export const SOURCE_LOOK_MS = 15_000;

/** Interval at which the promotion looks. */
export const SOURCE_LOOK_EVERY_MS = 500;

/** Interval at which a command that waits for a job requests the state of the job. */
export const JOB_LOOK_MS = 1_000;
