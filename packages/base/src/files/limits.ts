// Limits for replacing files. The name of each bound contains its unit. Every dependent package asserts in its src/limits.ts how its bounds
// relate to the bounds defined here.

/** A temporary file that is at least this old counts as left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Maximum number of symbolic links in a chain that leads to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
/** Part of a file that is read at once for its checksum. */
export const HASHED_PIECE_BYTES = 1024 * 1024;
/** A file in memory has whole pages of at least this size, which a longer text may use on a full file system. */
export const PAGE_BYTES = 4096;
