// Bounds of rssrv's session/channel/ folder: what a server process may say. One that says more is ended.
// Units are in the names.

import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Longest message of a server process: the figures of FIGURES_VOLUMES_MAX volumes. */
export const WORKER_MESSAGE_MAX_BYTES = 16 * MIB;
/** Most volumes in one report of a session: those with a handle, and some of those that were closed. */
export const FIGURES_VOLUMES_MAX = 2 * HANDLES_PER_SESSION_MAX;
/** Paths that are being closed are reported with those that replace them. */
export const PATHS_CLOSING_FACTOR = 4;
export const UNPROTECTED_MAX = 16;
/** Most unanswered requests of a session to the listener, without ADMIN and VOTE: those of its slots, and releases of its handles. */
export const ASKS_MAX = 16 * HANDLES_PER_SESSION_MAX;
/** Bytes that wait for a server process to read them. One that does not read is ended. */
export const WORKER_UNREAD_MAX_BYTES = 64 * MIB;
/** Time between the end of the channel of a server process and its exit. */
export const CHANNEL_END_MS = 1_000;

// The log of a server process (worker-lines.ts).

/** Longest line that the listener takes; a longer one is cut. */
export const WORKER_LINE_MAX_BYTES = 16 * KIB;
export const WORKER_LINE_PATH_MAX_CHARS = 64;
/** A server process that logs more than this has to wait. After a pause, it may log what it could have logged in WORKER_LOG_BURST_MS. */
export const WORKER_LOG_BYTES_PER_S = 64 * KIB;
export const WORKER_LOG_BURST_MS = 16_000;
