// Bounds of snapshots of a mirror: how long changes of users wait.
// Units are in the names.

/** Time within which the changes in progress must have ended. Then the moment fails, and the changes that wait go on. */
export const MOMENT_BEGIN_MS = 5_000;
/**
 * Time for which changes wait at most while the servers make their snapshots: what a busy file system needs for two small syncs, and shorter
 * than programs take for a failure. A server that is later does not have the snapshot.
 */
export const MOMENT_HOLD_MS = 10_000;
