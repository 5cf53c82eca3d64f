// Bounds of rsiod's keeper/ folder. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

const KIB = 1024;

/**
 * Every KEEPER_QUIET_SECONDS the keeper checks that the working process is running. After KEEPER_SILENCE_SECONDS without an answer, the
 * keeper considers the process hung.
 */
export const KEEPER_QUIET_SECONDS = 5;
export const KEEPER_SILENCE_SECONDS = 60;
/** Number of consecutive exits of the working process, each within KEEPER_SETTLED_MS of its start, after which it is not restarted. */
export const KEEPER_STARTS_MAX = 30;
export const KEEPER_SETTLED_MS = 60_000;
/** Wait before the second of these restarts, and maximum wait before later ones. The wait doubles each time. */
export const KEEPER_PAUSE_MIN_MS = 200;
export const KEEPER_PAUSE_MAX_MS = 5_000;
/** Timeout for an answer from the keeper. It is short because the keeper has no other work. */
export const KEEPER_ANSWER_MS = 5_000;
/** Maximum number of descriptors that the keeper holds. Each device needs one. */
export const KEPT_DEVICES_MAX = 4_096;
/** Maximum size of the note about one device. */
export const KEPT_NOTE_MAX_BYTES = 16 * KIB;
