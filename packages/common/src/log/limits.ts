// Defines limits for logs: the size of lines and buffers, and how often lines of one kind are logged. Units are in the names. Every
// dependent package asserts in its src/limits.ts that its bounds fit the bounds defined here.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Default maximum number of log lines of one kind within RATE_LIMITED_LOG_MS; further lines are only counted. */
export const RATE_LIMITED_LINES_MAX = 32;
export const RATE_LIMITED_LOG_MS = 60_000;
/** Maximum number of kinds of log lines that are counted separately; all further kinds share one count. */
export const RATE_LIMITED_KINDS_MAX = 1_024;

/**
 * Interval at which storage errors of one kind on one volume are logged. The first error is logged at once; after that, one line per
 * interval gives the number of errors.
 */
export const STORAGE_ERRORS_LOG_MS = 10_000;

/** Maximum memory for lines that wait to be written to the log file; further lines are dropped and counted. */
export const LOG_BUFFER_MAX_BYTES = MIB;
/** Maximum length of the lines that log readers print; longer lines are cut. */
export const LOG_LINE_MAX_BYTES = 64 * KIB;
export const LOG_READ_BYTES = 64 * KIB;
export const LOG_POLL_MS = 250;
export const LOG_FIELD_DEPTH_MAX = 4;
