// Bounds of rssrv's pools/disk/ folder: files and folders in a pool, space that a pool keeps for changes that free space.
// Units are in the names. src/limits.ts asserts that they agree with the bounds of other folders.

/** Files that a `concat` or `stripe` volume consists of. */
export const PARTS_MAX = 16;
export const STRIPE_CHUNK_MIN_BYTES = 4_096;
export const STRIPE_CHUNK_MAX_BYTES = 64 * 1024 * 1024;
/** Longest id of a request. Programs use a UUID. */
export const REQUEST_ID_MAX_CHARS = 64;
/** A manifest is refused beyond this size, before it is parsed. With 4096 client names of 63 bytes, it has less than 600 KiB. */
export const MANIFEST_MAX_BYTES = 1024 * 1024;
/** Manifests that are read at a time when a pool is opened. */
export const MANIFEST_READS_MAX = 32;
/** Findings about a pool that are kept and shown. */
export const POOL_FINDINGS_MAX = 100;
/** Time that `fallocate` may take for each GiB of a thick volume, in any case, and at most. Other changes of the server wait meanwhile. */
export const ALLOCATE_MS_PER_GIB = 10_000;
export const ALLOCATE_MIN_MS = 10_000;
export const ALLOCATE_MAX_MS = 300_000;

// Spare files.

/** Changes on a full file system, such as removals, before one of them has freed space. */
export const SPARE_FILES = 8;
/** A manifest with up to some hundred names of clients fits. */
export const SPARE_BYTES = 64 * 1024;
/** Spare files are made while at least this is free, so that they never take the last space. */
export const SPARE_ROOM_BYTES = 4 * 1024 * 1024;
