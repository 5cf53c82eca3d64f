// Bounds of rssrv's pools/requests/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Number of requests whose answers the server keeps. */
export const REQUESTS_KEPT = 1_000;
/** Maximum number of lines of the journal. A longer journal is rewritten with the kept requests only. */
export const JOURNAL_LINES_MAX = 3 * REQUESTS_KEPT;
/** Longest answer that is kept. A longer one is replaced by an error that says that the change was made. */
export const JOURNAL_ANSWER_MAX_BYTES = 256 * 1024;
/** A larger journal is not read. */
export const JOURNAL_MAX_BYTES = 256 * 1024 * 1024;
/** Longest time for which a change waits until the journal has the previous change, whose file system may not answer. */
export const JOURNAL_HOLD_MS = 2_000;
