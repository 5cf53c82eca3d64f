// Bounds of the live stream. Units are in the names. Invariant: a browser that does not read its stream uses a bounded amount of memory and
// does not delay other browsers.

export const STREAMS_MAX = 128;
export const STREAMS_PER_TOKEN_MAX = 64;
export const HEARTBEAT_MS = 10_000;
/** While a stream has a larger backlog, it gets no changes; after that, it gets the whole picture. */
export const BACKLOG_MAX_BYTES = 1_024 * 1_024;
/** A stream whose backlog has been too large for this time is closed. */
export const STUCK_MS = 30_000;
/** If a larger share of all elements has changed, the whole picture is sent. */
export const WHOLE_SHARE = 0.8;
