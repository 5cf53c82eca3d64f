// Bounds of one session, and of its channel to the listener. Units are in the names. Invariant: each bound is defined once, and relations
// between bounds are asserted here.

import { HANDLES_PER_SESSION_MAX, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OUTPUT_BATCH_BYTES } from '@rsio/protocol/wire/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- session: sessions, IOCTLs, probe connections.

/**
 * Maximum total size of the READs that a session is executing again for late copies. The bound is needed because these READs do not count
 * against the window.
 */
export const REREAD_MAX_BYTES = 8 * MIB;
/** The server ends a session at the next quiet moment if less than 1/HANDLE_NUMBERS_LOW_PART of the session's handle numbers is left. */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** A client sends a frame in each heartbeat interval. A client that is not heard for this time counts as silent from its last frame on. */
export const CLIENT_QUIET_MS = 2_500;
/** A session is quiet if all requests in execution are younger than SESSION_QUIET_MS. */
export const SESSION_QUIET_MS = 100;
/**
 * While a path has more than ANSWERS_QUEUED_MAX_BYTES of queued answers, further READs on the path wait. With a longer queue, data would no
 * longer be in the processor's cache when it is sent.
 */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * Bound on the queued answers of an encrypted path, instead of ANSWERS_QUEUED_MAX_BYTES. The bound is one batch, because TLS copies the
 * data twice before it is sent, and all copies must fit into the processor's cache.
 */
export const ANSWERS_QUEUED_ENCRYPTED_MAX_BYTES = OUTPUT_BATCH_BYTES;
/**
 * Maximum total size of the unread answers on all paths of a session. The answers to READs in progress are included. Above this bound,
 * READs wait on each path that has more than one segment of unread answers. A client that stays within its window never exceeds this bound.
 */
export const ANSWERS_UNREAD_MAX_BYTES = WINDOW_BYTES + REREAD_MAX_BYTES;

/**
 * When an interface is removed from the server's list, clients must retire their paths to that interface. After UNLISTED_PATH_MS, the
 * server closes the remaining paths to that interface.
 */
export const UNLISTED_PATH_MS = 5_000;

export const SYNC_BATCH_MAX_MS = 4;
/** Interval at which a change that lacks space in its pool is executed again. */
export const SPACE_RETRY_MS = 500;

// IOCTLs.

/** Maximum number of a session's RECORD_READs and RECORD_WRITEs in progress. The listener holds their bytes. */
export const GATE_RECORDS_PER_SESSION_MAX = 16;

// Probe connections. PROBE_CONNECTIONS_MAX is the maximum number of probe connections in total.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node can lock out others. */
export const PROBES_PER_NODE_MAX = 2;

// --- session/channel: what a worker may send. The listener ends a worker that sends more.

/** Maximum length of a message of a worker. The longest message is a report with the figures of FIGURES_VOLUMES_MAX volumes. */
export const WORKER_MESSAGE_MAX_BYTES = 16 * MIB;
export const UNPROTECTED_MAX = 16;
/**
 * Maximum number of unanswered requests that a session has sent to the listener for its slots and for released handles. ADMIN and VOTE do
 * not count.
 */
export const ASKS_MAX = 16 * HANDLES_PER_SESSION_MAX;
/**
 * Maximum number of bytes that the listener has sent to a worker and that the process has not read. If this bound is exceeded, the listener
 * ends the process.
 */
export const WORKER_UNREAD_MAX_BYTES = 64 * MIB;
/** Time within which a worker must exit after its channel has ended. */
export const CHANNEL_END_MS = 1_000;

// The log of a worker (worker-lines.ts).

/** Maximum length of a log line of a worker. The listener cuts longer lines. */
export const WORKER_LINE_MAX_BYTES = 16 * KIB;
export const WORKER_LINE_PATH_MAX_CHARS = 64;
/**
 * Maximum rate of a worker's log. A burst may have as many bytes as this rate permits in WORKER_LOG_BURST_MS. A process that logs more has
 * to wait.
 */
export const WORKER_LOG_BYTES_PER_S = 64 * KIB;
export const WORKER_LOG_BURST_MS = 16_000;
