// Bounds of jobs: of all jobs together, and of copies, imports, images and moves. Units are in the names. Invariant: each bound is defined
// once, and relations between bounds are asserted here.

// --- jobs: work of the server that takes time.

/** Maximum number of running jobs. Further jobs wait, in the order of their requests. */
export const JOBS_RUNNING_MAX = 2;
/** Maximum number of running jobs of one client, so that slow jobs of one client do not keep the jobs of others from running. */
export const JOBS_RUNNING_PER_CLIENT_MAX = 1;
/** Maximum number of jobs that have not ended, for all clients together. */
export const JOBS_OPEN_MAX = 64;
/** Maximum number of jobs of one client that have not ended. */
export const JOBS_OPEN_PER_CLIENT_MAX = 16;
/** Maximum number of ended jobs in the list. */
export const JOBS_KEPT_MAX = 100;
/**
 * Maximum number of ended jobs of one client in the list, so that the jobs of one client do not push the jobs of others out of the list.
 */
export const JOBS_KEPT_PER_CLIENT_MAX = 25;
/** A job that cannot continue now, for example because a pool is not open, is retried after this time. */
export const JOB_RETRY_MS = 10_000;
/** When the server stops, it waits at most this long for its jobs to stop. */
export const JOB_STOP_WAIT_MS = 5_000;
/** Smallest bandwidth limit that a job may get, in bytes per second. */
export const JOB_LIMIT_MIN_BYTES = 64 * 1024;
/** Maximum time of one wait for bandwidth. The job then checks whether its limit has changed, and whether it was cancelled. */
export const PACE_WAIT_MAX_MS = 250;

// --- copies and imports: the programs that copy and convert, files and servers, new volumes.

/** Maximum number of programs that have not ended. A killed program may hang in a file system, and counts until it has ended. */
export const PROGRAMS_MAX = 4;
/** Interval at which the server checks whether a running program makes progress, and whether its job has to end. */
export const PROGRAM_LOOK_MS = 250;
/** Minimum number of steps in which the program reports its progress. */
export const PROGRESS_STEPS = 100;
/**
 * A program is killed if it reports no step for this time plus the time that a step takes at PROGRAM_LEAST_BYTES_PER_SECOND. If half of the
 * job's bandwidth limit is lower than PROGRAM_LEAST_BYTES_PER_SECOND, the time that a step takes at half of the limit is added instead.
 */
export const PROGRAM_SILENT_MS = 600_000;
export const PROGRAM_LEAST_BYTES_PER_SECOND = 1024 * 1024;
/** Maximum time to wait for the end of a killed program. */
export const PROGRAM_KILL_WAIT_MS = 5_000;
/** Maximum length of a failed program's text in an error. */
export const COPY_PROGRAM_TEXT_MAX_CHARS = 1_000;
/**
 * FILE_STEP_MS is the maximum time for one step on a file outside of the pools. FILE_SYNC_MS is the maximum time for the sync of a whole
 * file.
 */
export const FILE_STEP_MS = 30_000;
export const FILE_SYNC_MS = 600_000;
/**
 * Maximum number of unfinished steps of copies to files. An unfinished step occupies one of the 4 threads of this process, even if it
 * hangs.
 */
export const FILE_STEPS_MAX = 3;
/**
 * Maximum number of unfinished steps on one file system, so that a hanging file system leaves a thread for the other file systems. Two
 * steps suffice, because at most two jobs run at once.
 */
export const FILE_STEPS_MOUNT_MAX = 2;
/** Time within which an NBD server must accept the connection. */
export const NBD_CONNECT_MS = 10_000;
/** Maximum length of the path or URI of a target. */
export const TARGET_MAX_CHARS = 4_096;
/** Maximum time for the step that gives a new volume its name. */
export const COPY_COMMIT_MS = 30_000;

// Imports.

/** Number of bytes that an import reads at a time. */
export const IMPORT_PIECE_BYTES = 1024 * 1024;
/** Number of bytes after which the copy is synced, and the free space of the pool is checked. */
export const IMPORT_SYNC_BYTES = 64 * 1024 * 1024;

// --- jobs/images: images, and READs that an image answers because the storage of its volume failed.

/** Maximum number of images that are refreshed to one moment. */
export const IMAGES_AT_ONCE_MAX = 32;

// READs that an image answers.

/**
 * Maximum number of failed READs of an open volume that wait while another failed READ is handled. Further failed READs get their error at
 * once.
 */
export const BRIDGES_WAITING_MAX = 64;
/** A failed READ gets its error if it has waited longer than this for its turn. READs therefore do not hang behind a slow disk. */
export const BRIDGE_WAIT_MAX_MS = 5_000;
/** Maximum time for which a READ waits until an image is found. */
export const BRIDGE_LOOK_MAX_MS = 5_000;
/**
 * Maximum time for which a READ waits for the read of an image. If this read is still running afterwards, no other image is read for the
 * volume until the read has ended.
 */
export const BRIDGE_READ_MAX_MS = 5_000;
/** Maximum number of images of a volume that are tried for a READ, the newest first. */
export const BRIDGE_IMAGES_MAX = 4;
/** While an image answers for a volume, the log and the events repeat this fact at this interval. */
export const BRIDGE_REPORT_MS = 600_000;
/** Maximum number of volumes for which answers of images are remembered. */
export const BRIDGED_VOLUMES_MAX = 10_000;
/**
 * If an image has answered READs of a volume, the state of the server shows this until this much time has passed since the last such READ.
 */
export const BRIDGED_SHOWN_MS = 86_400_000;

// --- moves of volumes between pools: what is copied at a time, how often, and for how long clients wait.

/** Size of the pieces of a copy. Between two pieces, a move can be paced, cancelled and stopped. */
export const COPY_PIECE_BYTES = 1024 * 1024;
/** Number of bytes after which the copy is synced and its position saved. After a restart, a job copies at most this many bytes again. */
export const SAVE_EVERY_BYTES = 256 * 1024 * 1024;
/** Maximum number of extents that are read at a time. */
export const EXTENTS_AT_ONCE = 4_096;
/**
 * Maximum number of chunks (STRIPE_CHUNKS_AT_ONCE) and of bytes (STRIPE_COMPARED_BYTES) of a striped volume that are compared at a time.
 * The results of one comparison are then sorted into the order of the volume.
 */
export const STRIPE_CHUNKS_AT_ONCE = 1_024;
export const STRIPE_COMPARED_BYTES = 256 * 1024 * 1024;
/** If a round has copied no more than this, it is the last round before the switch. */
export const LITTLE_BYTES = 8 * 1024 * 1024;
/** Maximum number of rounds of a move. If these rounds do not suffice, clients write faster than the server copies. */
export const ROUNDS_MAX = 50;
/** Maximum number of snapshots that a move copies to the new pool, including snapshots that are made during the move. */
export const CARRIED_MAX = 2_000;
/** A round that copies more than this share of the bytes of the previous round counts as no progress. */
export const SHRINK_SHARE = 0.7;
/** Maximum number of bytes that are copied while the clients wait. */
export const SWITCH_COPY_MAX_BYTES = 128 * 1024 * 1024;
/** Maximum number of ranges that are copied while the clients wait. */
export const SWITCH_RANGES_MAX = 65_536;
/** While the clients wait, at most as many bytes may be copied as earlier rounds copied in this time. */
export const SWITCH_COPY_MS = 1_000;
/** Time within which the workers must have closed the old file. */
export const SWITCH_CLOSE_MS = 10_000;
/** Maximum time that the steps on disk of a switch of pools may take. */
export const SWITCH_DISK_MS = 30_000;
/** Maximum time for making a clone, or for allocating the space of a thick copy. */
export const MOVE_STEP_MS = 600_000;
