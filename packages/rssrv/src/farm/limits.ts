// Bounds of farms: of the record of a pool, of its engines, and of taking and giving up a pool. Units are in the names. Invariant: no bound
// decides about safety; a call that takes longer has an unknown outcome.

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

/** Maximum length of a note as JSON text. */
export const NOTE_MAX_BYTES = 512;
/** Maximum number of notes that a look returns: a server that may own the pool no longer can have left one. */
export const NOTES_MAX = 2 * OWNERS_MAX;
/** Longest time in which a program beside the server ends, or answers. */
export const PROGRAM_MS = 5_000;
/** Kept of what a program prints. */
export const PROGRAM_OUTPUT_MAX_CHARS = 4_096;
/** Time between two looks at something that changes within milliseconds. */
export const POLL_MS = 20;

/** Time limit of librados and librbd for one call. It is shorter than ENGINE_CALL_MS, so that a call fails with a reason. */
export const RBD_CALL_MS = 4_000;
/** Maximum number of calls that wait for the helper of a pool. */
export const RBD_CALLS_MAX = 64;
/** Maximum length of an answer of the helper: JSON of a record and its notes, in which one byte takes up to six characters. */
export const RBD_ANSWER_MAX_CHARS = 6 * (RECORD_MAX_BYTES + NOTES_MAX * 2 * NOTE_MAX_BYTES);
/** Maximum length of an answer of qemu-storage-daemon or of the socket of its librados. */
export const RBD_SOCKET_ANSWER_MAX_BYTES = 1_048_576;
/** Time for which Ceph refuses a fenced client: ten years. Ceph's own default, an hour, ends while a frozen server may still wake up. */
export const RBD_FENCE_S = 315_360_000;
/** A fence that lasts for less time is none. It is shorter than RBD_FENCE_S, because a fence may be confirmed again years later. */
export const RBD_FENCE_LEAST_MS = 365 * 86_400_000;
/** Time between two attempts to fence a client. */
export const RBD_FENCE_RETRY_MS = 1_000;
/** Time between two pings of a storage client to the OSD of the image's header, by which the client gets a new map of the cluster. */
export const RBD_PING_S = 0.25;
