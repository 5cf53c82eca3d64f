// Limits of replacing files. The unit is in the name.
// The src/limits.ts of the packages above assert relations to these bounds.

/** A temporary file of this age was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Length of a chain of symbolic links to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
