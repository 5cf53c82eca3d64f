// Bounds of rssrv's server/ folder: listening sockets, connections before their proof, discovery. Units are in the names. src/limits.ts
// asserts that these bounds agree with the bounds of other folders.

const KIB = 1024;

/**
 * Maximum number of unproven connections from one address (UNPROVEN_PER_ADDRESS_MAX) and in total (UNPROVEN_MAX). A further unproven
 * connection replaces the oldest.
 */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Size of the buffer pool for the bodies of messages that arrive before the proof. These messages are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/** Maximum number of log lines about refused unproven connections in each interval of the rate-limited log. */
export const REFUSALS_LOGGED_MAX = 256;
/** The same for lines about wrong proofs of all node names and addresses together. Each pair of name and address also has its own bound. */
export const WRONG_PROOFS_LOGGED_MAX = 256;

/** How long the server keeps a session without a live path. */
export const SESSION_LINGER_MS = 600_000;

/** A new session waits at most this long for the node's old session to end. After this time, the server tells the client to try again. */
export const OLD_SESSION_WAIT_MS = 3_000;
/**
 * For this long after a start of rssrv, every client with a hold counts as connected, because clients may need up to RECONNECT_MAX_MS to
 * reconnect.
 */
export const HOLDER_RETURN_MS = 10_000;
/**
 * In a take-over, the losing client's worker must finish the I/O on the volume, flush it and close it within this time. The listener tells
 * a slower worker to end the session.
 */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** Interval at which a listener checks whether its predecessor's workers have exited. */
export const OLD_WORKER_POLL_MS = 50;
/** Interval at which a server retries addresses that its machine does not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;

/** Number of descriptors that a session needs for one open volume: an ordinary one and a synchronous one. */
export const DESCRIPTORS_PER_BACKEND = 2;
/** Number of further descriptors that a server process needs: for the log, the helpers and Node.js itself. */
export const DESCRIPTORS_RESERVED = 128;

// Discovery.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS is the minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS is the minimum interval
 * between readings of the machine's interfaces.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;
