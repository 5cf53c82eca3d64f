// Bounds of the backups/ folder. The backups themselves are files of the administrator. Invariant: the memory that rsiod uses for times of
// backups is bounded.

/** Maximum number of volumes for which rsiod remembers the last backup. */
export const BACKUPS_KEPT_MAX = 1_024;
