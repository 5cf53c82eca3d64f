// Bounds of crsio. Units are in the names. Bounds that several programs share
// are in the limits.ts files of the package common.

export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
/** Interval at which the status page takes samples from rsiod. */
export const STATUS_REFRESH_MS = 1_000;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/**
 * Limit for m x n, where m is the number of differing lines in the old text and n their number in the new text. Within the limit, the
 * difference is computed line by line. Above the limit, all of these lines are shown as changed.
 */
export const DIFF_CELLS_MAX = 4_000_000;
