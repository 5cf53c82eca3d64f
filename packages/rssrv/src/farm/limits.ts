// Bounds of farms: of the record of a pool, of its engines, and of taking and giving up a pool. Units are in the names. Invariant: a bound
// has one place.

/** Maximum number of earlier owners that a record names because their writes may still be executed. A pool with more waits for fences. */
export const WRITERS_MAX = 32;
/** Maximum length of the text with which a fence names a client of the storage. */
export const CLIENT_MAX_CHARS = 256;
/** Maximum length of the text in which an owner says why it does not give a pool up. */
export const REFUSAL_MAX_CHARS = 500;
/** Maximum length of a record as JSON text. */
export const RECORD_MAX_BYTES = 32_768;

/** Each server that may own a pool looks at its record, and posts its own note, once in this time. */
export const WATCH_MS = 1_000;
/** Longest time for one call of an engine. After this time the outcome of the call is unknown. */
export const ENGINE_CALL_MS = 5_000;
/** Longest time for a fence, including its confirmation. */
export const FENCE_MS = 60_000;

/**
 * Time between the turns of two owners to take a free pool (FREE_STEP_MS), or a pool whose owner is silent (SILENT_STEP_MS). The preferred
 * owner has the first turn.
 */
export const FREE_STEP_MS = 3_000;
export const SILENT_STEP_MS = 1_000;
/** Interval of looks while a pool is being moved to this server. */
export const HURRY_MS = 100;
/** Time after which a look that failed is tried again while answers wait for it. */
export const LOOK_RETRY_MS = 200;
/** Time between two attempts of a fence that is not proven, of an unmount that is refused, or of a take that failed. */
export const RETRY_MS = 5_000;
/** Longest time for one run of mount, umount or mkfs.xfs. */
export const MOUNT_MS = 120_000;
/** Maximum length of the output of a program in an error message. */
export const OUTPUT_MAX_CHARS = 2_000;
/** Longest time for which a command waits until a pool has moved. */
export const MOVE_MS = 120_000;
