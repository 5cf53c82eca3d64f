// Limits for replacing files. Units are in the names.
// The src/limits.ts of the packages above assert relations to these bounds.

/** A temporary file of this age or older was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Maximum number of symbolic links in a chain that leads to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
