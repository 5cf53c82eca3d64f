// Bounds of session/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

import { WINDOW_BYTES } from '@rsio/protocol/link/limits';

const MIB = 1024 * 1024;

/** READs that the server reads again for late copies, in bytes of all together: they are outside of the window. */
export const REREAD_MAX_BYTES = 8 * MIB;
/** When fewer than one of so many of a session's handle numbers are left, the server ends it at the next quiet moment: the next has others. */
export const HANDLE_NUMBERS_LOW_PART = 20;
/** Such a moment: nothing that it executes has taken longer so far. */
export const SESSION_QUIET_MS = 100;
/** Answers queued on one path at which the server lets READs wait: what waits for longer has left the processor's cache when it leaves. */
export const ANSWERS_QUEUED_MAX_BYTES = MIB;
/**
 * Answers that a client has not read, with those of READs under way, over all paths of its session: above it a path that has more than a
 * segment of them lets READs wait. Who keeps the window never meets it.
 */
export const ANSWERS_UNREAD_MAX_BYTES = WINDOW_BYTES + REREAD_MAX_BYTES;

/** A path on an interface that left the server's list is closed by the server after this, if its client did not retire it before. */
export const UNLISTED_PATH_MS = 5_000;

export const SYNC_BATCH_MAX_MS = 4;
