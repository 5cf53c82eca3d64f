// Bounds for the code in rsiod's keeper/ folder. The name of each bound contains its unit. The file src/limits.ts asserts that these bounds
// agree with those of other folders.

const KIB = 1024;

/**
 * Every KEEPER_QUIET_SECONDS, the keeper asks the working process whether it is alive. After KEEPER_SILENCE_SECONDS without an answer, the
 * keeper considers the process hung.
 */
export const KEEPER_QUIET_SECONDS = 5;
export const KEEPER_SILENCE_SECONDS = 60;
/**
 * The keeper gives up when the working process has exited this many times in succession, each time within KEEPER_SETTLED_MS of its start.
 */
export const KEEPER_STARTS_MAX = 30;
export const KEEPER_SETTLED_MS = 60_000;
/**
 * If the working process repeatedly exits within KEEPER_SETTLED_MS of its start, the keeper pauses before it restarts the process. The
 * first restart is immediate, and the second follows after KEEPER_PAUSE_MIN_MS. The pause then doubles with each restart, up to
 * KEEPER_PAUSE_MAX_MS.
 */
export const KEEPER_PAUSE_MIN_MS = 200;
export const KEEPER_PAUSE_MAX_MS = 5_000;
/** Timeout for an answer from the keeper. The timeout is short because the keeper does nothing but serve its child. */
export const KEEPER_ANSWER_MS = 5_000;
/** Maximum number of descriptors that the keeper holds. Each device needs one descriptor. */
export const KEPT_DEVICES_MAX = 4_096;
export const KEPT_NOTE_MAX_BYTES = 16 * KIB;
