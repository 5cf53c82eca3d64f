// Bounds of rssrv's pools/requests/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Requests whose answers the server remembers. */
export const REQUESTS_KEPT = 1_000;
/** Lines of the journal at which it is written anew with the remembered requests only. */
export const JOURNAL_LINES_MAX = 3 * REQUESTS_KEPT;
/** Longest answer that is remembered. A longer one is replaced by an error that says that the change was made. */
export const JOURNAL_ANSWER_MAX_BYTES = 256 * 1024;
/** A journal beyond this size is not read. */
export const JOURNAL_MAX_BYTES = 256 * 1024 * 1024;
/** Time for which the next change waits until the journal has the one before. The answer of that one may wait for a silent file system. */
export const JOURNAL_HOLD_MS = 2_000;
