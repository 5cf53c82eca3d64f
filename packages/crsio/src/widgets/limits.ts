// Bounds of crsio. Units are in the names. Bounds that several programs share
// are in the limits.ts files of the package common.

export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
export const STATUS_REFRESH_MS = 1_000;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/**
 * Maximum of m x n, where m and n count the differing lines of the old and the new text. Above this maximum, all differing lines are shown
 * as changed.
 */
export const DIFF_CELLS_MAX = 4_000_000;
