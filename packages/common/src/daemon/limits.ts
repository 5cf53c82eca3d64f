// Limits for starting and stopping daemons. Units are in the names. Packages that depend on this one assert relations to these bounds in
// their src/limits.ts.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** A daemon that is not ready in time receives SIGTERM, and this long afterwards SIGKILL. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
