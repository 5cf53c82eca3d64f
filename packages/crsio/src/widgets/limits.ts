// Bounds of widgets/ in crsio: the numbers of this folder, each with its unit in the name.
// Invariant: what is asserted below, and in src/limits.ts of the package for relations to other folders.

export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
/** How often its status page asks rsiod. */
export const STATUS_REFRESH_MS = 1_000;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/** Product of changed lines of two files up to which their differences are computed line by line; past it all of them are shown. */
export const DIFF_CELLS_MAX = 4_000_000;
