// Limits for replacing files. Units are in the names. Packages that depend on this package have a src/limits.ts, which asserts how their
// own bounds relate to these.

/** Age from which a temporary file is considered to have been left behind by a crash. */
export const CONFIG_SAVE_MAX_MS = 30_000;
/** Maximum number of symbolic links in a chain that leads to a configuration file. */
export const CONFIG_LINKS_MAX = 16;
