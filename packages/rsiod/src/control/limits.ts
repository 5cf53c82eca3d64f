// Bounds of rsiod's control/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Latest start of a probe in a series, so that the last probe finishes before the requesting command times out. */
export const PROBES_TIME_MAX_MS = 40_000;

/** Time from the answer to `restart` or `stop` until the process exits. */
export const RESTART_ANSWER_MS = 100;

/**
 * When storage starts a new incarnation and the client has no data to replay, the affected volumes are reported together, this long after
 * the first. A report names up to BATCHED_LINES_NAMED_MAX volumes. If many volumes log the same text at once, those lines
 * are limited in the same way.
 */
export const BATCHED_LINES_MS = 1_000;
export const BATCHED_LINES_NAMED_MAX = 5;
