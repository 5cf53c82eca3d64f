// Bounds of common's manage/volumes folder: the volume commands of rsadm and rsconfig. Units are in the names.
// The bounds of rssrv are in its own folders.

/** Ranges that the command volume diff shows. It keeps all of them in memory. */
export const DIFF_RANGES_SHOWN_MAX = 2_000_000;

/** How often a command that waits for a job looks at it. */
export const JOB_LOOK_MS = 1_000;
