// Limits for starting and stopping daemons. Units are in the names. A package that depends on this one asserts, in its own src/limits.ts,
// how its bounds relate to the bounds in this file.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** Time between SIGTERM and SIGKILL for a daemon that did not become ready in time. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
