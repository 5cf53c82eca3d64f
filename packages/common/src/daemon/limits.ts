// Limits of starting and ending daemons. The unit is in the name.
// The src/limits.ts of the packages above assert relations to these bounds.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** A daemon that is not ready in time is asked to end, and killed after this time. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
