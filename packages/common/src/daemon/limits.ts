// Limits for starting and stopping daemons. Units are in the names. Packages that depend on this package have a src/limits.ts, which
// asserts how their own bounds relate to these.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** Time between SIGTERM and SIGKILL for a daemon that did not become ready in time. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
