// Bounds of the live stream. Units are in the names.
// Invariant: a browser that takes nothing costs a bounded amount of memory and delays no other one.

export const STREAMS_MAX = 128;
export const STREAMS_PER_TOKEN_MAX = 64;
export const HEARTBEAT_MS = 10_000;
/** A stream with more bytes in its way gets no differences until the browser has taken them, and then the whole picture. */
export const BACKLOG_MAX_BYTES = 1_024 * 1_024;
/** A browser that has taken nothing for this time is disconnected. */
export const STUCK_MS = 30_000;
/** More changes than this share of all elements are sent as a whole picture. */
export const WHOLE_SHARE = 0.8;
