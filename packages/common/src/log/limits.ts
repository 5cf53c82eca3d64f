// Limits of logs: lines, buffers, and how often the same line is logged. The unit is in the name.
// The src/limits.ts of the packages above assert relations to these bounds.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Lines of one kind that peers cause: so many are logged within the time, and the rest is counted. */
export const RATE_LIMITED_LINES_MAX = 32;
export const RATE_LIMITED_LOG_MS = 60_000;
/** Kinds that one process counts; further kinds share one count. */
export const RATE_LIMITED_KINDS_MAX = 1_024;

/** Errors of one kind of a volume's storage: the first is logged at once, the others are counted, with one line per interval. */
export const STORAGE_ERRORS_LOG_MS = 10_000;

/** Memory of lines that wait for the log file; lines beyond it are dropped and counted. */
export const LOG_BUFFER_MAX_BYTES = MIB;
/** Log readers cut longer lines. */
export const LOG_LINE_MAX_BYTES = 64 * KIB;
export const LOG_READ_BYTES = 64 * KIB;
export const LOG_POLL_MS = 250;
export const LOG_FIELD_DEPTH_MAX = 4;
