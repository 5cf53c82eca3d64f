// Bounds of rssrv's pools/snapshots folder: copies that share blocks, and files of snapshots. Units are in the names.
// src/limits.ts asserts that they agree with the bounds of other folders.

/** Maximum number of snapshots of one volume, and of all volumes of a server. */
export const SNAPSHOTS_MAX = 1_000;
export const SNAPSHOTS_ALL_MAX = 100_000;
/** Maximum number of snapshots of all volumes that count for one client. */
export const SNAPSHOTS_PER_CLIENT_MAX = 25_000;
/** Maximum number of volumes of which one request makes snapshots at one moment. */
export const SNAPSHOT_GROUP_MAX = 64;
/** A file with at most this number of extents is cloned in one piece. Cloning holds writes for 7 to 8 us per extent. */
export const WHOLE_EXTENTS_MAX = 500;
/** Size of the chunks of a file with more extents. Chunks are smaller if one would have more than CHUNK_EXTENTS_MAX extents. */
export const CHUNK_MAX_BYTES = 16 * 1024 * 1024;
export const CHUNK_EXTENTS_MAX = 128;
/** Smaller chunks have at most this number of extents, if CHUNK_MIN_BYTES permits it, so that a write waits a third as long. */
export const SMALL_CHUNK_EXTENTS_MAX = 32;
/** Smallest chunk. With extents of 8 KiB, it has SMALL_CHUNK_EXTENTS_MAX extents. */
export const CHUNK_MIN_BYTES = 256 * 1024;
/** Maximum number of chunks, which bounds the memory that records cloned chunks. A larger file gets larger chunks. */
export const CHUNKS_MAX = 65_536;
/** Extents are counted in pieces of CHUNK_MIN_BYTES up to this size, because the file system blocks writes while it counts. */
export const COUNT_MAX_BYTES = 1024 * 1024 * 1024;
/** After a piece with more extents than this, the next piece is smaller. */
export const COUNT_EXTENTS_MAX = 500;
/** Number of volumes whose snapshots are read at a time, and of snapshots read at a time for each. */
export const SNAPSHOT_READS_MAX = 8;
