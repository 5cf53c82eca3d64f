// Bounds of snapshots of a mirror: how long changes of users wait.
// Units are in the names.

/** Time limit for changes in progress to end. After it, the moment fails, and the changes that wait go on. */
export const MOMENT_BEGIN_MS = 5_000;
/**
 * Longest time for which changes wait while the servers make their snapshots. Enough for two small syncs of a busy file system, and shorter
 * than the time-outs of programs. A snapshot that a server makes later does not count.
 */
export const MOMENT_HOLD_MS = 10_000;
