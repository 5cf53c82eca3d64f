// Bounds of one session, and of its channel to the listener. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

import { HANDLES_PER_SESSION_MAX, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OUTPUT_BATCH_BYTES } from '@rsio/protocol/wire/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- session: sessions, IOCTLs, probe connections.

/**
 * Maximum total size of the READs that a session is re-executing for late copies. READs that are executed again do not count against the
 * window.
 */
export const REREAD_MAX_BYTES = 8 * MIB;
/** The server ends a session at the next quiet moment if less than 1/HANDLE_NUMBERS_LOW_PART of the session's handle numbers is left. */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** A session is quiet if all requests in execution are younger than SESSION_QUIET_MS. */
export const SESSION_QUIET_MS = 100;
/**
 * While a path has more than ANSWERS_QUEUED_MAX_BYTES of queued answers, further READs on the path wait. With a longer queue, the data
 * would leave the processor's cache before it is sent.
 */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * The same bound for an encrypted path: one batch. TLS copies the data twice before it is sent, and all copies share the cache.
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

/** Maximum number of MIRROR_SUMS requests in progress on a handle. Each needs a buffer of one piece. Further ones are refused. */
export const SUMS_PER_HANDLE_MAX = 4;

// Probe connections.

export const PROBE_CONNECTIONS_MAX = 4;
/** Maximum number of probe connections from one node, so that no node can lock out others. */
export const PROBES_PER_NODE_MAX = 2;

// --- session/channel: what a server process may send. The listener ends a process that sends more.

/** Longest message of a server process: the figures of FIGURES_VOLUMES_MAX volumes. */
export const WORKER_MESSAGE_MAX_BYTES = 16 * MIB;
/** Maximum number of volumes in one report of a session: the volumes with a handle, and some volumes without one that were closed. */
export const FIGURES_VOLUMES_MAX = 2 * HANDLES_PER_SESSION_MAX;
/** A report has at most this many times PATHS_PER_TRUNK_MAX paths, because it names closing paths beside their replacements. */
export const PATHS_CLOSING_FACTOR = 4;
export const UNPROTECTED_MAX = 16;
/** Maximum number of unanswered requests of a session to the listener, except ADMIN and VOTE. Slots and released handles cause them. */
export const ASKS_MAX = 16 * HANDLES_PER_SESSION_MAX;
/** Maximum number of bytes sent to a server process that it has not read. The listener ends a process with more. */
export const WORKER_UNREAD_MAX_BYTES = 64 * MIB;
/** Time between the end of the channel of a server process and its exit. */
export const CHANNEL_END_MS = 1_000;

// The log of a server process (worker-lines.ts).

/** Longest line that the listener takes; a longer one is cut. */
export const WORKER_LINE_MAX_BYTES = 16 * KIB;
export const WORKER_LINE_PATH_MAX_CHARS = 64;
/** Maximum rate of a server process's log, with bursts of the bytes for WORKER_LOG_BURST_MS. A faster process has to wait. */
export const WORKER_LOG_BYTES_PER_S = 64 * KIB;
export const WORKER_LOG_BURST_MS = 16_000;
