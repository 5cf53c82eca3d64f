// Bounds of administration: views, metrics, and the requests of clients. Units are in the names. Invariant: each bound is defined once, and
// relations between bounds are asserted here.

// --- admin

/** Maximum number of changes that wait for the change in progress. Further changes are refused. */
export const CHANGES_WAITING_MAX = 256;
/**
 * Maximum time for which a command waits until its change begins. The wait needs a limit, because the change in progress may hang in a file
 * system.
 */
export const CHANGE_WAIT_MS = 60_000;
/**
 * Maximum number of changes that have stepped aside and are working. Such a change may occupy one of the listener's four threads for as
 * long as a file system hangs. One thread therefore stays free for other work.
 */
export const CHANGES_ASIDE_MAX = 3;
/** Maximum time for which a change that has stepped aside waits until it may work: twice the time to clone a very fragmented volume. */
export const ASIDE_WAIT_MS = 180_000;
/** A server that stops waits at most this long for the change in progress. The next start finishes or undoes an interrupted change. */
export const CHANGE_STOP_WAIT_MS = 10_000;
/**
 * POOL_MEASURE_MS is the interval at which the free space of the pools is measured. While a pool is near its reserve, the interval is
 * POOL_MEASURE_NEAR_MS.
 */
export const POOL_MEASURE_MS = 5_000;
export const POOL_MEASURE_NEAR_MS = 250;
/** Interval at which the server deletes removed volumes that can no longer be restored. */
export const PURGE_INTERVAL_MS = 10 * 60 * 1_000;
/**
 * USED_LANES is the number of files of one pool that a list inspects at a time. If an inspection gets no answer for USED_SILENT_MS, the
 * list leaves out the sizes of the pool's remaining files.
 */
export const USED_LANES = 2;
export const USED_SILENT_MS = 1_000;
/** Maximum number of reasons against a restart, and of clients in one warning, that one answer names. */
export const READINESS_REASONS_MAX = 64;

/**
 * The entries of one client have at most AUDIT_UNITS_AT_ONCE units of AUDIT_UNIT_BYTES in the audit, and one more in each AUDIT_UNIT_EACH_MS: a
 * client that floods the server for a week fills a quarter of the book of clients, however long its entries are. Most entries have one unit.
 * Further orders are counted.
 */
export const AUDIT_UNIT_BYTES = 512;
export const AUDIT_UNITS_AT_ONCE = 2_000;
export const AUDIT_UNIT_EACH_MS = 20_000;
/** Number of clients and persons whose entries are counted apart; all others share a rate. Each client of a full rssrvcfg has a place. */
export const AUDIT_PACES_MAX = 8_192;
/**
 * An order waits at most AUDIT_WAIT_MS for its entry, because the disk may hang. Further entries are dropped while AUDIT_UNSAVED_MAX entries
 * are not on disk.
 */
export const AUDIT_WAIT_MS = 5_000;
export const AUDIT_UNSAVED_MAX = 1_000;
/** Longest text of one value in an entry of the audit, and most parameters and changes of one. Longer texts and lists are cut. */
export const AUDIT_TEXT_MAX_CHARS = 256;
export const AUDIT_LIST_MAX = 32;
/** Most volumes of one order that its entry names so that they can be looked for. */
export const AUDIT_OTHERS_MAX = 128;

// --- admin/remote: requests of clients.

/** Maximum number of requests, of all clients together, that are in progress or waiting. Further requests are refused. */
export const REMOTE_REQUESTS_MAX = 64;
/** Maximum number of read-only requests, of all clients together, that are executed at a time. */
export const REMOTE_READS_AT_ONCE_MAX = 2;
/**
 * After a read-only request, the next read-only request of the same client waits for as long as the first request took, but no longer than
 * this time.
 */
export const REMOTE_REST_MAX_MS = 1_000;
/**
 * REMOTE_BURST is the number of requests that one client may make at once, and REMOTE_PER_SECOND is the number of requests that it may make
 * in each second. Further requests wait.
 */
export const REMOTE_BURST = 200;
export const REMOTE_PER_SECOND = 400;
/**
 * Bounds on the long answers that are kept: LONG_ANSWERS_PER_SESSION_MAX is the number of answers for one session, and
 * LONG_ANSWERS_MAX_BYTES is the size of all answers together. The least recently read answer is dropped first.
 */
export const LONG_ANSWERS_PER_SESSION_MAX = 4;
export const LONG_ANSWERS_MAX_BYTES = 96 * 1024 * 1024;
/** A long answer is dropped if the client does not ask for a part within this time. */
export const LONG_ANSWER_KEPT_MS = 30_000;

/**
 * Messages between clients are kept in memory for at most MESSAGE_KEPT_MS: MESSAGES_PER_NODE_MAX to one client, and MESSAGES_MAX in all. If
 * there are more, the sender with the most messages loses its oldest message.
 */
export const MESSAGE_KEPT_MS = 600_000;
export const MESSAGES_PER_NODE_MAX = 64;
export const MESSAGES_MAX = 1_024;
/** Maximum number of messages in one answer. A full answer still fits into two frames. */
export const MESSAGES_PER_ANSWER_MAX = 16;
export const MESSAGE_ID_MAX_CHARS = 64;

/** Keys of clients that have ended, and that no file of the namespace brings back. */
/** Number of renamed clients that a server remembers. */
export const RENAMES_MAX = 1_000;
export const ENDED_KEYS_MAX = 4_096;
/** How far the generation of a file may be ahead of that of a server that was away. */
export const GENERATIONS_AHEAD_MAX = 1_000_000;
