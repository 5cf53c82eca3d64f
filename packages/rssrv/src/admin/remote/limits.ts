// Bounds of rssrv's admin/remote/ folder: requests of clients. Units are in the names. src/limits.ts asserts that these bounds agree with
// the bounds of other folders.

/** Maximum number of requests of all clients that are in progress or wait. Further ones are refused. */
export const REMOTE_REQUESTS_MAX = 64;
/** Maximum number of reading requests of all clients that are executed at a time. */
export const REMOTE_READS_AT_ONCE_MAX = 2;
/** After a reading request, the next one of the same client waits for as long as the first one took, and at most for this time. */
export const REMOTE_REST_MAX_MS = 1_000;
/** Requests that one client may make at once, and in each second. Further ones wait. */
export const REMOTE_BURST = 200;
export const REMOTE_PER_SECOND = 400;
/** Bounds of kept long answers: number for one session, and bytes of all. The least recently read answer is dropped first. */
export const LONG_ANSWERS_PER_SESSION_MAX = 4;
export const LONG_ANSWERS_MAX_BYTES = 96 * 1024 * 1024;
/** A long answer is dropped if the client does not ask for a part within this time. */
export const LONG_ANSWER_KEPT_MS = 30_000;
