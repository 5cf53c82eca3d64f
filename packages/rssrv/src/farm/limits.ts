// Bounds of farms: of the record of a pool, of its engines, and of taking and giving up a pool. Units are in the names.

/** Maximum number of servers that may own one pool. */
export const OWNERS_MAX = 16;
/** Maximum number of earlier owners that a record names because their writes may still be executed. A pool with more waits for fences. */
export const WRITERS_MAX = 32;
/** Maximum length of the text with which a fence names a client of the storage. */
export const CLIENT_MAX_CHARS = 256;
/** Maximum length of a record as JSON text. */
export const RECORD_MAX_BYTES = 32_768;

/** Each server that may own a pool looks at its record, and posts its own note, once in this time. */
export const WATCH_MS = 1_000;
/** Longest time for one call of an engine. After this time the outcome of the call is unknown. */
export const ENGINE_CALL_MS = 5_000;
/** Longest time for a fence, including its confirmation. */
export const FENCE_MS = 60_000;
