// Limits of replacing files. The unit is in the name.
// Invariant: the relations to other folders that src/limits.ts asserts.

/** A temporary file of this age was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Length of a chain of symbolic links to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
