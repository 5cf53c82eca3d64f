// Bounds that the code in session/ enforces. The names of the constants include the units. A check in src/limits.ts asserts that these
// bounds are consistent with those of other folders.

import { WINDOW_BYTES } from '@rsio/protocol/link/limits';

const MIB = 1024 * 1024;

/** Maximum total size of the READs that a session is re-executing for late copies. These READs do not count against the window. */
export const REREAD_MAX_BYTES = 8 * MIB;
/**
 * The server ends a session at the next quiet moment if less than 1/HANDLE_NUMBERS_LOW_PART of the session's handle numbers is left. The
 * client's next session can use all numbers again.
 */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** A session is quiet while all requests that it is executing are younger than this. */
export const SESSION_QUIET_MS = 100;
/**
 * While more than this many bytes of answers are queued on a path, further READs on that path wait. With a longer queue, the data would
 * leave the processor's cache before it is sent.
 */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * Maximum total size of the answers that a client has not read, over all paths of its session. The answers to READs in progress are
 * included. Above this bound, READs wait on each path that has more than one segment of unread answers. A client that stays within its
 * window never exceeds this bound.
 */
export const ANSWERS_UNREAD_MAX_BYTES = WINDOW_BYTES + REREAD_MAX_BYTES;

/**
 * When an interface is removed from the server's list, clients must retire their paths to that interface. After this time, the server
 * closes the paths that remain.
 */
export const UNLISTED_PATH_MS = 5_000;

export const SYNC_BATCH_MAX_MS = 4;
