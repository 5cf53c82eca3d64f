// Bounds of rssrv's session/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

import { WINDOW_BYTES } from '@rsio/protocol/link/limits';

const MIB = 1024 * 1024;

/** Maximum total bytes of READs that the server is re-executing for late copies. These READs do not count against the window. */
export const REREAD_MAX_BYTES = 8 * MIB;
/**
 * If fewer than one in this many of a session's handle numbers are left, the server ends the session at the next quiet moment. The next
 * session has new numbers.
 */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** A session is quiet while all of its executing requests are younger than this. */
export const SESSION_QUIET_MS = 100;
/**
 * While this many bytes of answers are queued on a path, further READs wait. With a longer queue, data would leave the processor's cache
 * before it is sent.
 */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * Bytes of answers that a client has not read, over all paths of its session. The answers to executing READs count, too. Above this bound,
 * READs wait on each path that has more than one segment of unread answers. A client that keeps to its window never reaches the bound.
 */
export const ANSWERS_UNREAD_MAX_BYTES = WINDOW_BYTES + REREAD_MAX_BYTES;

/**
 * The server waits this long for the client to retire a path on an interface that is no longer in the server's list. Then it closes the
 * path.
 */
export const UNLISTED_PATH_MS = 5_000;

export const SYNC_BATCH_MAX_MS = 4;
