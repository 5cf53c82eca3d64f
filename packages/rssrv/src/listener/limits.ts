// Bounds of rssrv's listener/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const KIB = 1024;

/**
 * Maximum number of unproven connections from one address (UNPROVEN_PER_ADDRESS_MAX) and in total (UNPROVEN_MAX). If another one arrives,
 * the oldest is closed.
 */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Memory for the bodies of the messages before the proof, which are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/**
 * Maximum number of log lines about refused unproven connections in each interval of the rate-limited log. All of these lines count as one
 * kind.
 */
export const REFUSALS_LOGGED_MAX = 256;

/** How long the server keeps a session without a live path. */
export const SESSION_LINGER_MS = 600_000;

/** A new session waits this long for its node's old session to end. After that, the server tells the client to try again. */
export const OLD_SESSION_WAIT_MS = 3_000;
/**
 * After rssrv starts, every client with a hold counts as present for this long, because clients reconnect their paths within
 * RECONNECT_MAX_MS.
 */
export const HOLDER_RETURN_MS = 10_000;
/**
 * Time in which a worker must finish the I/O on a volume that its client is losing in a take-over, flush the volume and close it. After
 * that, the worker is told to end the session.
 */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** Interval at which a listener checks whether its predecessor's workers have exited. */
export const OLD_WORKER_POLL_MS = 50;
/** Interval at which a server tries again to listen on an address that its machine does not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;

/**
 * DESCRIPTOR_CHECK_MS: interval at which a listener checks whether it can open another file. DESCRIPTOR_LOG_MS: interval of the log lines
 * while it cannot.
 */
export const DESCRIPTOR_CHECK_MS = 1_000;
export const DESCRIPTOR_LOG_MS = 60_000;
/** Descriptors for one open volume in a server process: an ordinary one and a synchronous one. All handles of a session share them. */
export const DESCRIPTORS_PER_BACKEND = 2;
/** Descriptors in a server process that are not for volumes or paths, but for the log, the helpers and Node.js itself. */
export const DESCRIPTORS_RESERVED = 128;
