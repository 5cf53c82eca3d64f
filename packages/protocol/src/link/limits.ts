// Bounds that both ends of a session keep. The unit is in the name. Invariant: the relations
// between them that are asserted here, and in src/limits.ts those to other rooms.

const KIB = 1024;
const MIB = 1024 * KIB;

/** Largest DISCARD or ZERO of a client, in such units: so that a request ends within bounded time. */
export const WIDE_COUNT_MAX = 1024;
export const SEQ_MODULUS = 0x10000;

export const WINDOW_BYTES = 32 * MIB;
export const HANDLES_PER_SESSION_MAX = 1024;
export const PATHS_PER_TRUNK_MAX = 64;
/** Segments into which the client cuts large I/O; shorter ones, of this at least, where there would be less of them than paths. */
export const SEGMENT_BYTES = 256 * KIB;
/** Output queued on one path at which the client prefers to hold requests back, and a probe that reads nothing is closed. */
export const OUTPUT_QUEUED_MAX_BYTES = 4 * MIB;
/** Output queued at which a peer that reads nothing loses a path: on that path at the client, on all paths of its session at the server. */
export const OUTPUT_HARD_MAX_BYTES = 64 * MIB;
export const RECEIVE_BUFFER_BYTES = 256 * KIB;

/** Heartbeats without a sign after which a direction of a path is shown as failed; less than `dead`, so that it shows while the path lives. */
export const DIRECTION_FAIL_HEARTBEATS = 2;
export const CONNECT_TIMEOUT_MS = 3_000;
/** How long a closed connection may take to send its last words. */
export const LAST_WORDS_TIMEOUT_MS = 1_000;
/** A server that has heard nothing from a path for this long closes it. */
export const SERVER_DEAD_AFTER_MS = 15_000;

/** What was written and not synced for this long the server syncs by itself, so that an error of the kernel's write-back comes to light. */
export const SELF_SYNC_MS = 5_000;
/** The same for a take-over: the server may have to end the old holder's process, and syncs the volume. */
export const TAKE_OVER_WAIT_MS = 45_000;
