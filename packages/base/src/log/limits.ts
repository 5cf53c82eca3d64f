// Defines limits for logs: the size of lines and buffers, and how often lines of one kind are logged. The name of each bound contains its
// unit. Every dependent package asserts in its src/limits.ts that its bounds fit the bounds defined here.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Default maximum number of log lines of one kind within RATE_LIMITED_LOG_MS; further lines are only counted. */
export const RATE_LIMITED_LINES_MAX = 32;
export const RATE_LIMITED_LOG_MS = 60_000;
/** After each interval with omitted lines, a kind has half as many in the next one, and at least this many. */
export const RATE_LIMITED_LINES_MIN = 2;
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

// --- logs in the journal or in syslog

/** The kernel writes at most this many bytes to a pipe without mixing them with bytes of other processes (PIPE_BUF of Linux). */
export const PIPE_WRITE_MAX_BYTES = 4_096;
/** Pause before lines are written again to a pipe that was full. */
export const PIPE_RETRY_MS = 50;
/** Longest time for which an exiting process waits until its last lines are delivered. */
export const LOG_FLUSH_MAX_MS = 500;
export const LOG_FLUSH_POLL_MS = 5;
/** Time limit for each of the programs (perl, mkfifo) that are run once before the sender is started. */
export const SENDER_PREPARE_MS = 5_000;
/** SENDER_PAUSE_MIN_MS and SENDER_PAUSE_MAX_MS: shortest and longest pause before the sender is started again. */
export const SENDER_PAUSE_MIN_MS = 1_000;
export const SENDER_PAUSE_MAX_MS = 60_000;
/**
 * SENDER_RETRY_MS: pause of the sender between two tries to deliver a line. SENDER_TRIES_MAX: number of tries after which the sender drops
 * the line.
 */
export const SENDER_RETRY_MS = 200;
export const SENDER_TRIES_MAX = 50;
/**
 * ENTRY_MESSAGE_MAX_CHARS: maximum length of the text of a line in the journal. ENTRY_FIELD_MAX_CHARS: maximum length of every other field.
 * Longer values are cut.
 */
export const ENTRY_MESSAGE_MAX_CHARS = 8_000;
export const ENTRY_FIELD_MAX_CHARS = 2_000;
export const ENTRY_FIELDS_MAX = 32;
/** Maximum length of a line in syslog. rsyslog accepts 8 KiB, and a character may have four bytes. */
export const SYSLOG_MESSAGE_MAX_CHARS = 2_000;
