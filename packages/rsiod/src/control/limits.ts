// Bounds of rsiod's control/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

/** In a series of probes, none begins later than this, so that the command that requested them still waits. */
export const PROBES_TIME_MAX_MS = 40_000;

/** Time from the answer to `restart` or `stop` to the end of the process. */
export const RESTART_ANSWER_MS = 100;

/**
 * Volumes whose storage started a new incarnation without data to replay are reported together, this long after the first. A report names
 * BATCHED_LINES_NAMED_MAX of them. Log lines that many volumes have in common are bounded in the same way.
 */
export const BATCHED_LINES_MS = 1_000;
export const BATCHED_LINES_NAMED_MAX = 5;
