// Bounds of keeper/ in rsiod: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const KIB = 1024;

/** The keeper asks the working process so often whether it lives, and takes it for hanging when it has not answered for so long. */
export const KEEPER_QUIET_SECONDS = 5;
export const KEEPER_SILENCE_SECONDS = 60;
/** Ends of rsiod's working process in a row, each within KEEPER_SETTLED_MS of its start, after which it is not started anew. */
export const KEEPER_LIVES_MAX = 30;
export const KEEPER_SETTLED_MS = 60_000;
/** Before the second such start, and before the later ones at most; it doubles. */
export const KEEPER_PAUSE_MIN_MS = 200;
export const KEEPER_PAUSE_MAX_MS = 5_000;
/** For an answer of the keeper, which does nothing else. */
export const KEEPER_ANSWER_MS = 5_000;
/** Descriptors that the keeper holds: one for each device. */
export const KEPT_DEVICES_MAX = 4_096;
/** What is told of one of them. */
export const KEPT_NOTE_MAX_BYTES = 16 * KIB;
