// Bounds of the listener and of the workers. Units are in the names. Invariant: each bound is defined once, and relations between bounds
// are asserted here.

const KIB = 1024;

// --- server: listening sockets, connections before their proof, discovery.

/**
 * Maximum number of unproven connections from one address (UNPROVEN_PER_ADDRESS_MAX) and in total (UNPROVEN_MAX). If there are more
 * unproven connections, the oldest of them is closed.
 */
export const UNPROVEN_PER_ADDRESS_MAX = 16;
export const UNPROVEN_MAX = 256;
/** Size of the buffer pool for the bodies of messages that arrive before the proof. These messages are small. */
export const UNPROVEN_POOL_BYTES = 64 * KIB;
/**
 * Maximum number of log lines about refused unproven connections in each interval of the rate-limited log, and of those about wrong proofs,
 * for all addresses together. Each address also has its own bound.
 */
export const REFUSALS_LOGGED_MAX = 256;

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
 * In a take-over, the worker of the earlier holder must finish the I/O on the volume, and flush and close the volume, within this time. The
 * listener tells a slower worker to end the session.
 */
export const TAKE_OVER_REVOKE_MS = 5_000;
/** Interval at which a listener checks whether its predecessor's workers have exited. */
export const OLD_WORKER_POLL_MS = 50;
/** Interval at which a server tries again to listen on addresses that its machine did not have. */
export const MISSING_ADDRESS_RETRY_MS = 1_000;

/** Number of descriptors that a session needs for one open volume: an ordinary descriptor, and one for synchronous writes. */
export const DESCRIPTORS_PER_BACKEND = 2;
/** Number of further descriptors that a worker needs: for the log, its sockets and Node.js itself. */
export const DESCRIPTORS_RESERVED = 128;

// Discovery. KNOWN_ADDRESSES_MAX is the maximum number of remembered addresses of proven clients.

export const KNOWN_ADDRESSES_MAX = 4_096;
/**
 * DISCOVERY_DROPS_LOG_MS is the minimum interval between log lines about unanswered datagrams. DISCOVERY_FACTS_MS is the minimum interval
 * between readings of the machine's interfaces.
 */
export const DISCOVERY_DROPS_LOG_MS = 60_000;
export const DISCOVERY_FACTS_MS = 10_000;

// --- server/workers: workers.

/**
 * Number of threads with which a worker accesses data that is not in the kernel's cache. One volume uses at most half of the threads. In
 * measurements, 8 KiB reads were fastest with this number.
 */
export const STORAGE_THREADS = 16;
/**
 * Number of further threads for syncs, size checks, opening and closing files, and writing the log. A volume whose storage hangs usually
 * occupies at most two of these threads, or three if the volume has several files. Four hanging volumes therefore leave some threads free.
 */
const UNSHARED_THREADS = 14;
/** Number of threads in the pool of a worker. */
export const POOL_THREADS = STORAGE_THREADS + UNSHARED_THREADS;

/** Maximum number of log lines about failed opens of one volume in each interval of the rate-limited log. */
export const FAILED_OPENS_LOGGED_MAX = 4;

export const STANDBY_WORKERS = 1;
/** Time within which a worker must become ready. A machine that is booting, or that is emulated, may need more than ten seconds. */
export const WORKER_START_TIMEOUT_MS = 60_000;
/** Time within which a worker must answer the requests in progress, flush and exit. The listener kills a slower worker. */
export const WORKER_DRAIN_TIMEOUT_MS = 20_000;
/** A worker delays its exit by this time, so that it can send its last frames and messages. */
export const WORKER_FAREWELL_MS = 20;

/**
 * Interval at which the listener pings each worker that has sessions. A worker counts as blocked if it sleeps and has not answered a ping
 * for WORKER_PINGS_UNANSWERED intervals.
 */
export const WORKER_PING_MS = 500;
export const WORKER_PINGS_UNANSWERED = 3;

/**
 * LIST_PAUSE_MS_PER_1000 is the pause between two announcements of a list with 1,000 volumes. The pause is proportional to the number of
 * volumes. A pause shorter than LIST_PAUSE_IGNORED_MS is left out.
 */
export const LIST_PAUSE_MS_PER_1000 = 100;
export const LIST_PAUSE_IGNORED_MS = 20;
/** Maximum number of changed volumes remembered during a pause. If more volumes change, the list is announced to all clients. */
export const LIST_CHANGES_HELD_MAX = 1_000;
