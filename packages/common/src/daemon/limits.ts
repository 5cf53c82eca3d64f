// Limits for the start and the end of daemons. Units are in the names.
// The src/limits.ts of the packages above assert relations to these bounds.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** If a daemon is not ready in time, it receives SIGTERM, and SIGKILL after this further time. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
