// Bounds of copies and imports: the programs that copy and convert, files and servers, new volumes. Units are in the names.
// jobs/limits.ts says how many jobs run, and jobs/moves/limits.ts how a new volume is copied.

/** Programs of copies that have not ended. A killed program may hang in a file system, and counts until it ends. */
export const PROGRAMS_MAX = 4;
/** Interval at which a running program is looked at: whether its job is to end, and whether it makes progress. */
export const PROGRAM_LOOK_MS = 250;
/** Parts in which the program tells its progress, at least. */
export const PROGRESS_STEPS = 100;
/** A program that copies one part for longer than this, and than half of its limit or the least speed would need, is ended. */
export const PROGRAM_SILENT_MS = 600_000;
export const PROGRAM_LEAST_BYTES_PER_SECOND = 1024 * 1024;
/** Time after which a killed program is not waited for. */
export const PROGRAM_KILL_WAIT_MS = 5_000;
/** Longest text of a failed program that is told. */
export const COPY_PROGRAM_TEXT_MAX_CHARS = 1_000;
/** Time that one step of a file outside of the pools may take, and the sync of a whole one. */
export const FILE_STEP_MS = 30_000;
export const FILE_SYNC_MS = 600_000;
/** Steps of copies to files that have not ended. Each one occupies one of the 4 threads of this process, also if its file system hangs. */
export const FILE_STEPS_MAX = 3;
/** Those on one file system, so that one that hangs leaves the others a thread. Not more jobs run at once. */
export const FILE_STEPS_MOUNT_MAX = 2;
/** Time within which an NBD server must accept the connection. */
export const NBD_CONNECT_MS = 10_000;
/** Longest path or URI of a target. */
export const TARGET_MAX_CHARS = 4_096;
/** Time that giving the new volume its name may take. */
export const COPY_COMMIT_MS = 30_000;

// Imports.

/** Bytes that are read at a time. */
export const IMPORT_PIECE_BYTES = 1024 * 1024;
/** Bytes after which what was written is made durable, and the room of the pool is looked at. */
export const IMPORT_SYNC_BYTES = 64 * 1024 * 1024;
