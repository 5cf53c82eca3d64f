// Bounds of starting and ending daemons: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const DAEMON_START_TIMEOUT_MS = 30_000;
/** A daemon that did not become ready in time is asked to end, and killed after this. */
export const DAEMON_END_GRACE_MS = 2_000;

export const UNIX_PATH_MAX_BYTES = 107;
