// Bounds of rsiod's control/ folder. Units are in the names.
// src/limits.ts asserts relations to bounds of other folders.

/** In a series of probes, no probe begins later than this, so that the last one ends before the requesting command times out. */
export const PROBES_TIME_MAX_MS = 40_000;

/** Time from the answer to `restart` or `stop` to the end of the process. */
export const RESTART_ANSWER_MS = 100;

/**
 * When storage starts a new incarnation and the client has no data to replay, the affected volumes are reported together, this long after
 * the first. A report names up to BATCHED_LINES_NAMED_MAX volumes. Log lines that many volumes have in common are limited in the same way.
 */
export const BATCHED_LINES_MS = 1_000;
export const BATCHED_LINES_NAMED_MAX = 5;
