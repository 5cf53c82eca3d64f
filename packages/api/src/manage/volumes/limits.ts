// Bounds of common's manage/volumes folder: the volume commands of rsadm and rsconfig. The name of each bound contains its unit. The bounds
// of rssrv are in its own folders.

/** Maximum number of ranges that the command `volume diff` shows. The command keeps all ranges in memory. */
export const DIFF_RANGES_SHOWN_MAX = 2_000_000;

/** Interval at which a command that waits for a job requests the state of the job. */
export const JOB_LOOK_MS = 1_000;
