// Bounds of backends/common/ in rssrv: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

const MIB = 1024 * 1024;

export const SLOW_CALL_US = 120;
/** Copying cached data takes time too: this many bytes more lengthen the bound by one microsecond. */
export const SLOW_CALL_BYTES_PER_US = 2_000;
/** Calls after a slow one that are watched for a second one that waits for the storage. */
export const SLOW_CALL_WATCHED_CALLS = 16;
export const POOL_RUN_REQUESTS = 512;
/** While calls are in the pool and none has ended for so long, the storage may hang: nothing of the volume is called on the loop. */
export const STORAGE_SILENT_MS = 500;
/** One write of zeros, where the storage cannot zero by itself. */
export const ZERO_WRITE_BYTES = MIB;
