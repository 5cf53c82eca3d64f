// Bounds of control/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** Of several probes one after the other none begins later than this: who asked a daemon for them still waits. */
export const PROBES_TIME_MAX_MS = 40_000;

/** From the answer to `restart` or `stop` to the end of the process. */
export const RESTART_ANSWER_MS = 100;

/** Volumes whose storage began a new life with nothing to be sent again are told of together, so long after the first, so many by their names.
 * Lines of the log that many volumes have in common are bounded likewise. */
export const NEW_LIFE_NEWS_MS = 1_000;
export const NEW_LIFE_NAMED_MAX = 5;
