// Bounds for the code in rsiod's control/ folder. The names of the bounds contain their units. The file src/limits.ts asserts that these
// bounds agree with those of other folders.

/**
 * Once a series of probes has taken this long, it starts no further probe. The last probe therefore finishes before the requesting command
 * times out.
 */
export const PROBES_TIME_MAX_MS = 40_000;

/** Delay between the answer to `restart` or `stop` and the exit of the process. */
export const RESTART_ANSWER_MS = 100;

/**
 * If a server's storage starts a new incarnation and the client has no data to replay, one report covers all affected volumes. The report
 * is made BATCHED_LINES_MS after the first volume is affected. The report names up to BATCHED_LINES_NAMED_MAX volumes and gives the number
 * of the others. If many volumes log the same text at the same time, BATCHED_LINES_NAMED_MAX of these lines are written. One further line
 * gives the number of the others.
 */
export const BATCHED_LINES_MS = 1_000;
export const BATCHED_LINES_NAMED_MAX = 5;
