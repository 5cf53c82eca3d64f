// Bounds of rssrv's pools/snapshots folder: copies that share blocks, and files of snapshots. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Snapshots of one volume, and of all volumes of a server. */
export const SNAPSHOTS_MAX = 1_000;
export const SNAPSHOTS_ALL_MAX = 100_000;
/** Those of all volumes that count for one client. */
export const SNAPSHOTS_PER_CLIENT_MAX = 25_000;
/** Volumes of which one request makes snapshots at one moment. */
export const SNAPSHOT_GROUP_MAX = 64;
/** A file with at most this number of extents is cloned in one piece. An extent takes 7 to 8 us, and writes are held meanwhile. */
export const WHOLE_EXTENTS_MAX = 500;
/** A larger number of extents is cloned in chunks of this size, or of a smaller one if a chunk would have more extents than this. */
export const CHUNK_MAX_BYTES = 16 * 1024 * 1024;
export const CHUNK_EXTENTS_MAX = 128;
/** Where chunks are made smaller, they have no more extents than this, if their size permits it: a write then waits a third as long. */
export const SMALL_CHUNK_EXTENTS_MAX = 32;
/** Below this size, chunks are not made smaller: with extents of 8 KiB, such a chunk has SMALL_CHUNK_EXTENTS_MAX. */
export const CHUNK_MIN_BYTES = 256 * 1024;
/** A larger file gets larger chunks, so that what is cloned can be recorded in little memory. */
export const CHUNKS_MAX = 65_536;
/** Extents are counted in pieces from CHUNK_MIN_BYTES to this size, because the file system holds writes while it counts. */
export const COUNT_MAX_BYTES = 1024 * 1024 * 1024;
/** With more extents in a piece, the next piece is smaller. */
export const COUNT_EXTENTS_MAX = 500;
/** Volumes whose snapshots are read at a time, and snapshots of one of them. */
export const SNAPSHOT_READS_MAX = 8;
