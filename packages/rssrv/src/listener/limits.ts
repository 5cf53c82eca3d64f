// Bounds of listener/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

/** Connections of one address that are not proved; one more, or one more than all addresses may have: the oldest of them gives way. */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Memory kept for bodies before the proof: they are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/** Of strangers' refusals, all of which are one kind. */
export const REFUSALS_LOGGED_MAX = 256;

/** How long the server keeps a session none of whose paths lives. */
export const SESSION_LINGER_MS = 600_000;

/** A newcomer waits this long for the end of its node's old session, then it is told to come again. */
export const OLD_SESSION_WAIT_MS = 3_000;
/** So long after a start of rssrv, whoever held something before counts as heard: its paths come back within RECONNECT_MAX_MS. */
export const HOLDER_RETURN_MS = 10_000;
/** A process whose client loses a volume ends what executes on it, flushes and closes it within this; then it is told to end. */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** How often a listener looks whether the workers of its predecessor are gone. */
export const OLD_WORKER_POLL_MS = 50;
/** How often a server tries again to listen on an address that its machine does not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;

/** How often a listener tries whether it may open a file more, and how often the log says that it may not. */
export const DESCRIPTOR_CHECK_MS = 1_000;
export const DESCRIPTOR_LOG_MS = 60_000;
/** Descriptors of one opened volume in a server's process: ordinary and synced. The handles of a session have one together. */
export const DESCRIPTORS_PER_BACKEND = 2;
/** Descriptors of a server's process beside those of volumes and paths: its log, its helpers, Node's own. */
export const DESCRIPTORS_RESERVED = 128;
