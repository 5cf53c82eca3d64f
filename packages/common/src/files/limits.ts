// Limits for replacing files. Units are in the names. A package that depends on this one asserts, in its own src/limits.ts, how its bounds
// relate to the bounds in this file.

/** A temporary file that has reached this age counts as left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Maximum number of symbolic links in a chain that leads to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
