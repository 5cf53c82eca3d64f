// Bounds of rssrv's session/channel/ folder: what a server process may send. The listener ends a process that sends more. Units are in the
// names.

import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

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
