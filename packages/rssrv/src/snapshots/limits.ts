// Bounds of snapshots: making them at one moment, and reading what differs between them. Units are in the names.
// Invariant: a bound has one place, and bounds that depend on each other are asserted here.

// --- snapshots: changes of snapshots, schedules, and moments at which changes are held.

/**
 * Time limit of a step of a change of snapshots: base, per GiB of the volume, and at most. Cloning and deleting a very fragmented file
 * takes longest: with extents of 4 KiB at a distance of 8 KiB, a second per GiB, and as much again for the rests.
 */
export const SNAPSHOT_CHANGE_MS = 120_000;
export const SNAPSHOT_MS_PER_GIB = 3_000;
export const SNAPSHOT_CHANGE_MAX_MS = 500_000;
/** Longest interval between two looks at the schedules, because the clock of the machine may be set. */
export const SCHEDULE_LOOK_MS = 30_000;
/** First and longest time after which a failed snapshot is tried again. The time doubles with each failure. */
export const SCHEDULE_RETRY_MS = 60_000;
export const SCHEDULE_RETRY_MAX_MS = 10 * 60_000;
/** Maximum number of snapshots that one line of the log names. */
export const SCHEDULE_NAMED_MAX = 4;

// Moments of snapshots.

/**
 * Longest time until the sessions have ended the changes in progress. After it, the moment fails, and all changes continue. It is longer
 * than a busy disk needs for the writes of one client, and shorter than the time-outs of programs.
 */
export const HOLD_LIMIT_MS = 1_000;
/** Longest time to clone the files that are cloned in one piece, because the changes of all volumes of the moment wait for it. */
export const HOLD_MAX_MS = 500;
/** Longest time for the next chunk while chunks are guarded, because changes may wait for it. */
export const CLONE_MAX_MS = 5_000;
/**
 * After a clone of a chunk, the background rests for as long as the clone took, at most REST_MAX_MS, so that the file system and the
 * processor are free for changes. After a clone of less than REST_MIN_MS, there is no rest.
 */
export const REST_MIN_MS = 1;
export const REST_MAX_MS = 50;
/** A request for more chunks than this waits for the background, because it would delay requests for few chunks. */
export const ASK_CHUNKS_MAX = 256;
/** Maximum number of guarded chunks of one volume. Each session keeps one byte for each chunk. */
export const GUARD_CHUNKS_MAX = 1 << 20;
/** Maximum number of moments that guard chunks at a time. Each occupies a thread of the listener. */
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
/** Maximum number of running comparisons, in all and in one pool. Each occupies threads of the listener, for long if the pool hangs. */
export const COMPARISONS_MAX = 4;
export const COMPARISONS_PER_POOL_MAX = 1;
/** Maximum number of waiting comparisons. Further ones are refused. */
export const COMPARISONS_WAITING_MAX = 1_024;
/** Longest time for which a comparison waits for its turn. */
export const COMPARISON_WAIT_MS = 10_000;
/** Longest time until the answer of a comparison. It is exceeded if the pool hangs. */
export const COMPARISON_MAX_MS = 20_000;
/** Maximum number of ranges in one answer of the method volume-diff. */
export const DIFF_RANGES_PER_ANSWER_MAX = 8_192;
/** Maximum number of chunks of a stripe that one answer covers, because an answer is merged chunk by chunk. */
export const STRIPE_CHUNKS_PER_ANSWER_MAX = 16_384;
