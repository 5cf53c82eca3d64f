// Limits for logs: the size of lines and buffers, and how often lines of one kind are logged. Units are in the names. Packages that depend
// on this one assert in their src/limits.ts that their own bounds agree with these.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Maximum number of peer-caused lines of one kind that are logged within RATE_LIMITED_LOG_MS. Further lines are only counted. */
export const RATE_LIMITED_LINES_MAX = 32;
export const RATE_LIMITED_LOG_MS = 60_000;
/** Maximum number of kinds that are counted separately in one process. Further kinds share one count. */
export const RATE_LIMITED_KINDS_MAX = 1_024;

/**
 * Interval for storage errors of one kind on one volume. The first error is logged at once; after that, one line per interval gives the
 * count.
 */
export const STORAGE_ERRORS_LOG_MS = 10_000;

/** Maximum memory for lines that are waiting to be written to the log file. Further lines are dropped and counted. */
export const LOG_BUFFER_MAX_BYTES = MIB;
/** Maximum length of the lines that log readers print. They cut longer lines. */
export const LOG_LINE_MAX_BYTES = 64 * KIB;
export const LOG_READ_BYTES = 64 * KIB;
export const LOG_POLL_MS = 250;
export const LOG_FIELD_DEPTH_MAX = 4;
