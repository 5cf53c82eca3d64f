// Bounds that both ends of a session must observe; each name includes the unit. The assertions in src/limits.ts check these bounds against
// the bounds of other folders.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Maximum count of a DISCARD or ZERO with the flag WIDE, in MiB, so that the request is completed within bounded time. */
export const WIDE_COUNT_MAX = 1024;
export const SEQ_MODULUS = 0x10000;

export const WINDOW_BYTES = 32 * MIB;
export const HANDLES_PER_SESSION_MAX = 1024;
export const PATHS_PER_TRUNK_MAX = 64;
/** Length of the segments into which the client cuts large I/O. If there are more paths than segments, the client cuts shorter segments. */
export const SEGMENT_BYTES = 256 * KIB;
/**
 * Longest write that is tried without Node's stream: a batch (OUTPUT_BATCH_BYTES) with the frame that completes it. The kernel rarely
 * accepts more bytes at once, so a try with a longer write would usually waste a system call.
 */
export const AT_ONCE_MAX_BYTES = 320 * KIB;
/**
 * Amount of queued output on one path above which the client sends no further requests over that path. The server also closes a probe whose
 * queued output exceeds this amount.
 */
export const OUTPUT_QUEUED_MAX_BYTES = 4 * MIB;
/**
 * Amount of queued output above which a path is closed, because its peer does not read. The client counts the output of each path, and the
 * server counts the output of all paths of a session together.
 */
export const OUTPUT_HARD_MAX_BYTES = 64 * MIB;
export const RECEIVE_BUFFER_BYTES = 256 * KIB;

/**
 * After this number of silent heartbeat intervals, one direction of a path is displayed as failed. The resulting time is shorter than the
 * configured time `dead`, so that the failure is displayed before the path ends.
 */
export const DIRECTION_FAIL_HEARTBEATS = 2;
export const CONNECT_TIMEOUT_MS = 3_000;
/** Time that a proven connection has from START_TLS until it is encrypted. */
export const TLS_START_MAX_MS = 5_000;
/** Time that a closed connection has for sending its remaining output. */
export const LAST_WORDS_TIMEOUT_MS = 1_000;
/** The server closes a path from which it has received nothing for this long. */
export const SERVER_DEAD_AFTER_MS = 15_000;

/** The server syncs writes after this time even without a FLUSH, so that write-back errors of the kernel are noticed. */
export const SELF_SYNC_MS = 5_000;
/**
 * Time limit for an attach that takes over the volume. Before it answers, the server syncs the volume, and may have to wait for an earlier
 * owner of the pool and to end the process of the previous holder.
 */
export const TAKE_OVER_WAIT_MS = 48_000;
