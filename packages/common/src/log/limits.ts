// Bounds of logs: lines, buffers, how often the same is logged: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Lines of one kind that others cause and that are logged one by one within the time; of the rest only how many they were. */
export const RATE_LIMITED_LINES_MAX = 32;
export const RATE_LIMITED_LOG_MS = 60_000;
/** Kinds that one process counts; what is more shares one. */
export const RATE_LIMITED_KINDS_MAX = 1_024;

/** Errors of one kind of a volume's storage: the first is logged at once, the others are counted, one line for each such time. */
export const STORAGE_ERRORS_LOG_MS = 10_000;

/** Lines that wait for the log file; past it lines are dropped and counted. */
export const LOG_BUFFER_MAX_BYTES = MIB;
/** A longer line is cut by the log readers. */
export const LOG_LINE_MAX_BYTES = 64 * KIB;
export const LOG_READ_BYTES = 64 * KIB;
export const LOG_POLL_MS = 250;
export const LOG_FIELD_DEPTH_MAX = 4;
