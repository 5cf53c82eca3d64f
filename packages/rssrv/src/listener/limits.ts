// Bounds for the code in rssrv's listener/ folder. Names include the units. The file src/limits.ts asserts the relations between these
// bounds and the bounds of other folders.

const KIB = 1024;

/**
 * Maximum number of unproven connections from one address (UNPROVEN_PER_ADDRESS_MAX) and in total (UNPROVEN_MAX). When another unproven
 * connection arrives, the oldest one is closed.
 */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Size of the buffer pool for the bodies of messages that arrive before the proof. These messages are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/**
 * Maximum number of log lines about refused unproven connections in each interval of the rate-limited log. The log counts all of these
 * lines as one kind.
 */
export const REFUSALS_LOGGED_MAX = 256;

/** How long the server keeps a session without a live path. */
export const SESSION_LINGER_MS = 600_000;

/**
 * A new session waits this long for its node's old session to end. If the old session takes longer to end, the server tells the client to
 * try again.
 */
export const OLD_SESSION_WAIT_MS = 3_000;
/**
 * For this long after rssrv starts, every client with a hold counts as connected, because a client may need up to RECONNECT_MAX_MS to
 * reconnect.
 */
export const HOLDER_RETURN_MS = 10_000;
/**
 * When a client loses a volume in a take-over, its worker must finish the I/O on the volume, flush the volume and close it within this
 * time. A worker that takes longer is told to end the session.
 */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** Interval at which a listener checks whether its predecessor's workers have exited. */
export const OLD_WORKER_POLL_MS = 50;
/** Interval at which a server tries again to listen on an address that its machine does not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;

/**
 * DESCRIPTOR_CHECK_MS is the interval at which a listener checks whether it can open another file. DESCRIPTOR_LOG_MS is the interval
 * between log lines while no file can be opened.
 */
export const DESCRIPTOR_CHECK_MS = 1_000;
export const DESCRIPTOR_LOG_MS = 60_000;
/**
 * Number of descriptors that a server process needs for one open volume: an ordinary one and a synchronous one. All handles that a session
 * has on the volume share these descriptors.
 */
export const DESCRIPTORS_PER_BACKEND = 2;
/**
 * Number of descriptors that a server process needs in addition to those for volumes and paths: for the log, the helpers and Node.js
 * itself.
 */
export const DESCRIPTORS_RESERVED = 128;
