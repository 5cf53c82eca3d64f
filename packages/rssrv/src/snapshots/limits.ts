// Bounds for making snapshots, and for reading the differences between snapshots. Units are in the names. Invariant: each bound is defined
// once, and relations between bounds are asserted here.

// --- snapshots: changes of snapshots, schedules, and moments at which changes are held.

/**
 * Time limit of one step of a command that makes or changes snapshots: SNAPSHOT_CHANGE_MS, plus SNAPSHOT_MS_PER_GIB for each GiB of the
 * volume, but at most SNAPSHOT_CHANGE_MAX_MS. Cloning or deleting a very fragmented file takes longest. With extents of 4 KiB at a distance
 * of 8 KiB, cloning takes a second for each GiB. The pauses after the clones in the background (REST_MAX_MS) double this time.
 */
export const SNAPSHOT_CHANGE_MS = 120_000;
export const SNAPSHOT_MS_PER_GIB = 3_000;
export const SNAPSHOT_CHANGE_MAX_MS = 500_000;
/**
 * Longest interval between two checks of the schedules. The interval is short because an administrator may set the clock of the machine.
 */
export const SCHEDULE_LOOK_MS = 30_000;
/** A failed scheduled snapshot is retried after SCHEDULE_RETRY_MS. The time doubles with each failure, up to SCHEDULE_RETRY_MAX_MS. */
export const SCHEDULE_RETRY_MS = 60_000;
export const SCHEDULE_RETRY_MAX_MS = 10 * 60_000;
/** Maximum number of snapshots that one line of the log names. */
export const SCHEDULE_NAMED_MAX = 4;

// Moments of snapshots.

/**
 * Longest time in which the sessions must end the changes in progress. If a session needs longer, the moment fails, and all changes
 * continue. The time is longer than a busy disk needs for the writes of one client, and shorter than the time-outs of programs.
 */
export const HOLD_LIMIT_MS = 1_000;
/**
 * Longest time for cloning the files that are cloned in one piece. The time is short because the changes of all volumes of the moment wait
 * until these files are cloned.
 */
export const HOLD_MAX_MS = 500;
/** Longest time for cloning one chunk while chunks are guarded. The time is bounded because changes may wait for the chunk. */
export const CLONE_MAX_MS = 5_000;
/**
 * After a chunk is cloned in the background, the background cloning rests for as long as the clone took, but at most for REST_MAX_MS.
 * During this rest, the file system and the processor are free for changes. After a clone of less than REST_MIN_MS, there is no rest.
 */
export const REST_MIN_MS = 1;
export const REST_MAX_MS = 50;
/**
 * If a session asks for more chunks than this at once, the chunks are cloned in the background. If these chunks were cloned first, requests
 * for only a few chunks would wait too long.
 */
export const ASK_CHUNKS_MAX = 256;
/** Maximum number of guarded chunks of one volume. The bound is needed because each session keeps one byte for each guarded chunk. */
export const GUARD_CHUNKS_MAX = 1 << 20;
/** Maximum number of moments that guard chunks at a time. Each guarding moment occupies a thread of the listener. */
export const GUARDING_MAX = 3;
/** Longest time for which a moment waits for its turn. */
export const MOMENT_WAIT_MS = 60_000;
/** Maximum number of volumes of one moment. */
export const MOMENT_VOLUMES_MAX = 64;

// --- snapshots/reads: snapshots that clients open, and comparisons.

/** Maximum number of extents of a file that one system call returns. */
export const EXTENTS_READ_MAX = 1_024;
/** Maximum number of system calls per file for one answer. If the files have more extents, the answer covers less than requested. */
export const EXTENT_READS_PER_ANSWER_MAX = 16;
/**
 * Maximum number of comparisons that run at a time: COMPARISONS_MAX in all pools together, COMPARISONS_PER_POOL_MAX in one pool. A
 * comparison occupies threads of the listener, and continues to occupy them while its pool hangs.
 */
export const COMPARISONS_MAX = 4;
export const COMPARISONS_PER_POOL_MAX = 1;
/** Maximum number of waiting comparisons. Further comparisons are refused. */
export const COMPARISONS_WAITING_MAX = 1_024;
/** Longest time for which a comparison waits for its turn. */
export const COMPARISON_WAIT_MS = 10_000;
/** Longest time until a comparison is answered. If the pool hangs, the answer takes longer. */
export const COMPARISON_MAX_MS = 20_000;
/** Maximum number of ranges in one answer of the method volume-diff. */
export const DIFF_RANGES_PER_ANSWER_MAX = 8_192;
/** Maximum number of chunks of a stripe that one answer covers, because an answer is merged chunk by chunk. */
export const STRIPE_CHUNKS_PER_ANSWER_MAX = 16_384;
