// Bounds of rssrv's snapshots/ folder: changes and schedules; how long changes may be held for a moment, and how many of what one may need.
// Units are in the names. src/limits.ts asserts that they agree with the bounds of other folders.

/**
 * Time within which a step of a change of snapshots should end: in any case, for each GiB of the volume, and at most. A very fragmented file
 * takes longest to clone and to delete: with extents of 4 KiB at a distance of 8 KiB, a second for each GiB, and as long for the rests between.
 */
export const SNAPSHOT_CHANGE_MS = 120_000;
export const SNAPSHOT_MS_PER_GIB = 3_000;
export const SNAPSHOT_CHANGE_MAX_MS = 500_000;
/** Interval at which the schedules are looked through at the latest, because the clock of the machine may be set. */
export const SCHEDULE_LOOK_MS = 30_000;
/** Time after which a snapshot that failed is made again, and the most that it grows to while it keeps failing. */
export const SCHEDULE_RETRY_MS = 60_000;
export const SCHEDULE_RETRY_MAX_MS = 10 * 60_000;
/** Volumes that one line of the log names. */
export const SCHEDULE_NAMED_MAX = 4;

// Moments of snapshots.

/**
 * Time within which the sessions must have ended the changes in progress. After this time, all changes go on, and the moment fails. Longer
 * than a busy disk needs for the writes of one client, shorter than programs take for a failure.
 */
export const HOLD_LIMIT_MS = 1_000;
/** Time within which the files that are cloned as a whole must be cloned, because the changes of all volumes wait meanwhile. */
export const HOLD_MAX_MS = 500;
/** While chunks are guarded, time within which the next chunk must be cloned, because changes may wait for it. */
export const CLONE_MAX_MS = 5_000;
/**
 * After a clone, no chunk is cloned in the background for as long as the clone took, at most REST_MAX_MS, so that changes find the file
 * system and the processor free. A clone that took less than REST_MIN_MS is not followed by a rest.
 */
export const REST_MIN_MS = 1;
export const REST_MAX_MS = 50;
/** A request for more chunks waits until they are cloned in the background, because it would delay the requests for few chunks. */
export const ASK_CHUNKS_MAX = 256;
/** Chunks of one volume. Each session keeps a byte for each of them. */
export const GUARD_CHUNKS_MAX = 1 << 20;
/** Moments of which chunks are guarded at a time. Each occupies a thread of the listener. */
export const GUARDING_MAX = 3;
/** Time for which a moment waits until it may begin. */
export const MOMENT_WAIT_MS = 60_000;
/** Volumes of one moment. */
export const MOMENT_VOLUMES_MAX = 64;
