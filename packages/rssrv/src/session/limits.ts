// Bounds of rssrv's session/ folder: sessions, IOCTLs, probe connections. Units are in the names. src/limits.ts asserts that these bounds
// agree with the bounds of other folders. Bounds of the wire are in packages/protocol/src/wire/limits.ts.

import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OUTPUT_BATCH_BYTES } from '@rsio/protocol/wire/limits';

const MIB = 1024 * 1024;

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
