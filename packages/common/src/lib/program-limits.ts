// Bounds of one program alone: what storage, doors, the curses tool and the logs keep to. All others are in limits.ts.
// Invariant: no other bound depends on them.

import { DRAINING_RETRY_MS } from './limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

// --- a path that trickles
/** Whatever has not reached the server after this, or whose answer is behind PONGs that are so late, goes out on another path too; looked for so often. */
export const LATE_MS = 1_000;
export const LATE_LOOK_MS = 100;

// --- a server that is there and slow
/** How often the listener asks each process with sessions whether it runs, and how many times without an answer show that it does not. */
export const WORKER_LOOK_MS = 500;
export const WORKER_LOOKS_UNANSWERED = 3;
/** So long a client takes E_DRAINING for the word of such a server; it asks again within DRAINING_RETRY_MS, and a handshake takes its time. */
export const DRAINING_WORD_MS = 3 * DRAINING_RETRY_MS;

// --- file backend (docs/adr: sync or pool)
export const SLOW_CALL_US = 120;
/** Copying cached data takes time too: this many bytes more lengthen the bound by one microsecond. */
export const SLOW_CALL_BYTES_PER_US = 2_000;
/** Calls after a slow one that are watched for a second one that waits for the storage. */
export const SLOW_CALL_WATCHED_CALLS = 16;
export const POOL_RUN_REQUESTS = 512;
/** While calls are in the pool and none has ended for so long, the storage may hang: nothing of the volume is called on the loop. */
export const STORAGE_SILENT_MS = 500;
/** First piece of a long DISCARD or ZERO that the kernel does; pieces that take less are doubled, those that take more halved. */
export const ZERO_STEP_BYTES = 16 * MIB;
export const STEP_MIN_BYTES = MIB;
export const STEP_MAX_BYTES = 1024 * MIB;
export const STEP_FAST_MS = 5;
export const STEP_SLOW_MS = 50;
/** Errors of one kind of a volume's storage: the first is logged at once, the others are counted, one line for each such time. */
export const STORAGE_ERRORS_LOG_MS = 10_000;
/** How often a listener tries whether it may open a file more, and how often the log says that it may not. */
export const FREE_FILES_LOOK_MS = 1_000;
export const FREE_FILES_LOG_MS = 60_000;
/** One write of zeros, where the storage cannot zero by itself. */
export const ZERO_WRITE_BYTES = MIB;
/** Faults that a volume shows for tests (`test-...` keys): their rules, the longest delay, and how often a pause is looked for its end. */
export const TEST_RULES_MAX = 32;
export const TEST_DELAY_MAX_MS = 600_000;
export const TEST_PAUSE_POLL_MS = 20;
/** Of unsynced writes that a volume with test-lose-unsynced keeps: from here on it syncs by itself, as a kernel writes back. */
export const UNSYNCED_MAX_BYTES = 64 * MIB;
/** A range helper that owes an answer for longer is killed. */
export const RANGE_HELPER_TIMEOUT_MS = 10_000;
/** After which a range helper that was lost is started anew, at the earliest: doubled with each loss, and as at first after one that lasted. */
export const RANGE_HELPER_RETRY_MS = 1_000;
export const RANGE_HELPER_RETRY_MAX_MS = 60_000;
/** Descriptors whose advisory locks one helper takes. */
export const LOCKS_PER_HELPER_MAX = 64;
export const LOCK_HELPER_TIMEOUT_MS = 5_000;
export const SYNC_BATCH_MAX_MS = 4;
/** Descriptors of one opened volume in a server's process: ordinary and synced. The handles of a session have one together. */
export const FILES_PER_BACKEND = 2;
/** Descriptors of a server's process beside those of volumes and paths: its log, its helpers, Node's own. */
export const FILES_RESERVED = 128;

// --- requests of the client's doors
/** Beyond NBD_DOOR_BYTES_MAX: for connections that have nothing else out and want more than NBD_SMALL_BYTES_MAX, which each always may. */
export const NBD_DOOR_RESERVE_BYTES = 256 * MIB;
export const NBD_SMALL_BYTES_MAX = MIB;
/** Requests of a volume for what is not whole blocks under way; each has a buffer of two blocks. More wait in turn. */
export const BYTE_RANGES_OUT_MAX = 64;
/** Such buffers that a volume keeps when they are idle. */
export const BYTE_RANGES_IDLE_MAX = 8;

// --- the curses tool
export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
/** How often its status page asks rsiod. */
export const STATUS_REFRESH_MS = 1_000;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/** Product of changed lines of two files up to which their differences are computed line by line; past it all of them are shown. */
export const DIFF_CELLS_MAX = 4_000_000;

// --- logs
/** Lines that wait for the log file; past it lines are dropped and counted. */
export const LOG_BUFFER_MAX_BYTES = MIB;
/** A longer line is cut by the log readers. */
export const LOG_LINE_MAX_BYTES = 64 * KIB;
export const LOG_READ_BYTES = 64 * KIB;
export const LOG_POLL_MS = 250;
export const LOG_FIELD_DEPTH_MAX = 4;

// --- devices of rsiod
/** Nodes of loop devices that nothing stands behind any more are taken out of /dev together, so long after the last; at most so many, so often tried. */
export const LOOP_NODES_QUIET_MS = 500;
export const LOOP_NODES_AT_ONCE = 1_024;
export const LOOP_NODES_TRIES = 10;
/** Volumes whose storage began a new life with nothing to be sent again are told of together, so long after the first, so many by their names.
 * Lines of the log that many volumes have in common are bounded likewise. */
export const NEW_LIFE_NEWS_MS = 1_000;
export const NEW_LIFE_NAMED_MAX = 5;
/** How often it is looked whether somebody swaps on a device of ours. */
export const SWAP_LOOK_MS = 10_000;
