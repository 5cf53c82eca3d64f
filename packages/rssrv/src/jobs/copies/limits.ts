// Bounds of copies and imports: the programs that copy and convert, files and servers, new volumes. Units are in the names.
// jobs/limits.ts says how many jobs run, and jobs/moves/limits.ts how a new volume is copied.

/** Maximum number of programs that have not ended. A killed program may hang in a file system, and counts until it ends. */
export const PROGRAMS_MAX = 4;
/** Interval at which the server checks whether a running program makes progress, and whether its job has to end. */
export const PROGRAM_LOOK_MS = 250;
/** Minimum number of steps in which the program reports its progress. */
export const PROGRESS_STEPS = 100;
/** A program that reports no step for this time is killed. The time of a step at the least speed, or at half of its limit, is added. */
export const PROGRAM_SILENT_MS = 600_000;
export const PROGRAM_LEAST_BYTES_PER_SECOND = 1024 * 1024;
/** Maximum time to wait for the end of a killed program. */
export const PROGRAM_KILL_WAIT_MS = 5_000;
/** Maximum length of a failed program's text in an error. */
export const COPY_PROGRAM_TEXT_MAX_CHARS = 1_000;
/** Maximum time for one step on a file outside of the pools, and for the sync of a whole file. */
export const FILE_STEP_MS = 30_000;
export const FILE_SYNC_MS = 600_000;
/** Maximum number of unfinished steps of copies to files. Each occupies one of the 4 threads of this process, even while it hangs. */
export const FILE_STEPS_MAX = 3;
/** The same on one file system, so that a hanging one leaves a thread to the others. It suffices, because not more jobs run at once. */
export const FILE_STEPS_MOUNT_MAX = 2;
/** Time within which an NBD server must accept the connection. */
export const NBD_CONNECT_MS = 10_000;
/** Longest path or URI of a target. */
export const TARGET_MAX_CHARS = 4_096;
/** Maximum time to give the new volume its name. */
export const COPY_COMMIT_MS = 30_000;

// Imports.

/** Bytes that are read at a time. */
export const IMPORT_PIECE_BYTES = 1024 * 1024;
/** Number of bytes after which the copy is synced, and the free space of the pool is checked. */
export const IMPORT_SYNC_BYTES = 64 * 1024 * 1024;
