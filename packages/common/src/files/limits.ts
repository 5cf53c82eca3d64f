// Limits for replacing files. Units are in the names. Packages that depend on this one assert relations to these bounds in their
// src/limits.ts.

/** A temporary file this old or older was left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Maximum number of symbolic links in a chain that leads to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
