// Bounds of rssrv's pools/disk/ folder: files and folders in a pool, and spare space for changes that free space. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Maximum number of files of a `concat` or `stripe` volume. */
export const PARTS_MAX = 16;
export const STRIPE_CHUNK_MIN_BYTES = 4_096;
export const STRIPE_CHUNK_MAX_BYTES = 64 * 1024 * 1024;
/** Longest id of a request. Programs use a UUID. */
export const REQUEST_ID_MAX_CHARS = 64;
/** A larger manifest is refused before it is parsed. A manifest with 4096 client names of 63 bytes has less than 600 KiB. */
export const MANIFEST_MAX_BYTES = 1024 * 1024;
/** Number of manifests that are read at a time when a pool is opened. */
export const MANIFEST_READS_MAX = 32;
/** Maximum number of findings about a pool that are kept and shown. */
export const POOL_FINDINGS_MAX = 100;
/** Time limit of `fallocate` for a thick volume: per GiB, added to all, and at most. Other changes of the server wait for it. */
export const ALLOCATE_MS_PER_GIB = 10_000;
export const ALLOCATE_MIN_MS = 10_000;
export const ALLOCATE_MAX_MS = 300_000;

// Spare files.

/** Number of spare files, and thereby of changes such as removals on a full file system before one of them has freed space. */
export const SPARE_FILES = 8;
/** Size of a spare file. A manifest with some hundred client names fits. */
export const SPARE_BYTES = 64 * 1024;
/** Spare files are made only while at least this much is free, so that they never take the last space. */
export const SPARE_ROOM_BYTES = 4 * 1024 * 1024;
