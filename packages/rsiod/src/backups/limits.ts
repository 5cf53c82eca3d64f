// Bounds of the backups/ folder. The backups themselves are files of the administrator. Invariant: what this client remembers of backups is
// bounded, however many volumes it has ever backed up.

/** Volumes of which the last backup is remembered. */
export const BACKUPS_KEPT_MAX = 1_024;
