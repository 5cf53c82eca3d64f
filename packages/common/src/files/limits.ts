// Bounds of files that are replaced: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

/** Half a configuration that somebody began to save so long ago was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Symbolic links that lead to a configuration file, one to the next. */
export const CONFIG_LINKS_MAX = 16;
