// Bounds of crsio. Units are in the names. The bounds that several programs share are not in this file, but in the limits.ts files of the
// package common.

export const SCREEN_COLUMNS_MIN = 80;
export const SCREEN_ROWS_MIN = 24;
export const STATUS_REFRESH_MS = 1_000;
/** Interval between two samples of mirrors. Each sample asks the voters of all mirrors. */
export const MIRRORS_REFRESH_MS = 3_000;
/** Interval between two samples of applications. rsapp looks at them once per second. */
export const APPLICATIONS_REFRESH_MS = 1_000;
/** The form of a new mirror offers pairs of at most this many servers. */
export const PAIRED_SERVERS_MAX = 6;
export const FIELD_TEXT_MAX_CHARS = 4_096;
/**
 * Maximum of m x n, where m and n count the differing lines of the old and the new text. Above this maximum, all differing lines are shown
 * as changed.
 */
export const DIFF_CELLS_MAX = 4_000_000;
/** Shortest interval between two looks at rssrv. A look asks rssrv for everything that the pages show. */
export const LOOK_INTERVAL_MS = 3_000;
/** The interval between two looks at rssrv is at least this many times the duration of a look. */
export const LOOK_SHARE = 20;
/** Interval at which the server's part updates times on the screen, and checks whether a look is due. */
export const TICK_MS = 500;
/** Time-out of each request that only reads. */
export const LOOK_WAIT_MS = 10_000;
/** After this time, the screen says that rssrv has not answered yet. */
export const LOOK_SILENT_MS = 1_000;
/** Maximum number of changes that rssrv has not answered yet. */
export const ORDERS_OUT_MAX = 8;
/** Maximum number of columns for the name of an object in a list; the page of the object shows the whole name. */
export const LIST_NAME_COLUMNS_MAX = 28;
/** Maximum number of rows that crsio shows of one table in an answer. */
export const RESULT_ROWS_MAX = 500;
