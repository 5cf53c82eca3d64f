// Bounds of rssrv's machine/ folder: calls of the kernel, syncs, descriptors, passing descriptors. Units are in the names. src/limits.ts
// asserts that these bounds agree with the bounds of other folders.

/**
 * Maximum number of volumes that a listener syncs at the same time. Each sync has its own process, because hanging storage blocks a whole
 * process.
 */
export const STORAGE_SYNCS_MAX = 64;
/**
 * If this many syncs are in progress, only a sync for which a request waits may begin. Hanging disks therefore do not block the sync of a
 * take-over.
 */
export const SPARE_STORAGE_SYNCS_MAX = 8;
/**
 * A take-over waits at most this long for the sync of the volume. After this time, the server refuses the take-over, but the sync
 * continues.
 */
export const STORAGE_SYNC_WAIT_MS = 15_000;

/** Number of looks for marks that the listener makes in one turn of its event loop; each takes some microseconds. */
export const LOOKS_PER_TURN = 500;

/** Maximum number of volumes of pools that a listener opens at the same time. Each open occupies a thread for a moment. */
export const OPENED_AT_ONCE_MAX = 16;

/**
 * Maximum number of calls that this process has in threads through koffi, which refuses more than 256. The bound is larger than every pool
 * of threads, so that only the pool decides how many calls run.
 */
export const CALLS_IN_THREADS_MAX = 128;
/**
 * Maximum number of calls of the listener on files whose storage may hang, such as locks and allocations: FILE_CALLS_MAX in total, and
 * FILE_CALLS_PER_DEVICE_MAX on one file system. Each call occupies a thread of the listener's pool for as long as the storage hangs.
 */
export const FILE_CALLS_MAX = 8;
export const FILE_CALLS_PER_DEVICE_MAX = 2;
/** A lock, or a turn for a call, is awaited at most this long. */
export const FILE_CALL_WAIT_MS = 5_000;
/** Maximum number of calls that wait for a turn. Further calls count as not answered. */
export const FILE_CALLS_WAITING_MAX = 1_024;
/** Number of files that `rssrv --check` and the search for freed files open at the same time. */
export const LOCKABLE_FILES_AT_ONCE = 500;
/**
 * MARK_LOOK_MS is the interval at which the listener checks whether workers with open files of its volumes have ended. After a slow check,
 * the listener waits MARK_LOOK_REST times as long as the check took.
 */
export const MARK_LOOK_MS = 1_000;
export const MARK_LOOK_REST = 10;
/** Maximum number of descriptors of workers that the listener inspects to find the worker that has a file open. */
export const MARK_HOLDER_LOOKS_MAX = 4_000;

/**
 * A listener checks at the interval DESCRIPTOR_CHECK_MS whether it can open another file. While no file can be opened, DESCRIPTOR_LOG_MS is
 * the interval between log lines.
 */
export const DESCRIPTOR_CHECK_MS = 1_000;
export const DESCRIPTOR_LOG_MS = 60_000;

// Passing descriptors.

/** Maximum number of descriptors in one message. A volume of several files needs two descriptors for each file. */
export const DESCRIPTORS_PER_MESSAGE_MAX = 64;
/** Interval at which the listener tries again to pass descriptors, while the socket of a worker is full. */
export const PASS_RETRY_MS = 20;
/** If a worker reads no descriptors for this time, the listener gives up passing descriptors to it, and refuses the OPEN. */
export const PASS_WAIT_MS = 10_000;

/**
 * Maximum number of volumes that a listener opens for workers at the same time: OPENS_MAX in total, and OPENS_PER_DEVICE_MAX on one file
 * system or disk. Each open occupies a thread of the listener's pool for as long as the storage hangs.
 */
export const OPENS_MAX = 24;
export const OPENS_PER_DEVICE_MAX = 4;
/** If too many volumes of a file system or disk are being opened, an OPEN of a further volume there waits at most this long. */
export const OPEN_WAIT_MS = 10_000;
/** Maximum number of OPENs that wait because too many volumes are being opened. Further OPENs are refused. */
export const OPENS_WAITING_MAX = 4_096;
