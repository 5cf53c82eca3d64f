// Bounds of crsio. Units are in the names.
// Bounds that several programs share are in common's limits.ts files.

export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
/** Interval at which the status page takes samples from rsiod. */
export const STATUS_REFRESH_MS = 1_000;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/**
 * Limit on (changed lines in the old file) x (changed lines in the new file). Up to this limit, the difference is computed line by line; beyond
 * it, all lines of the change are shown.
 */
export const DIFF_CELLS_MAX = 4_000_000;
