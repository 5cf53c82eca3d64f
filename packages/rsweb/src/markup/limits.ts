// Bounds of what one page shows.
// What is beyond them, a page says or shows on further pages.

/** Rows of a table; the others are on further pages. With 500, the first page of 200 volumes would be twice as slow. */
export const ROWS_PER_PAGE = 50;
/** Clients in the picture of the first page: those with a fault first, then the busiest ones. The table has all. */
export const CLIENTS_DRAWN = 60;
/** Volumes of a pool in the picture. */
export const VOLUMES_DRAWN = 120;
/** Findings on a page; the page says how many more there are. */
export const FINDINGS_SHOWN = 80;
/** Events on the page of an object. */
export const EVENTS_SHOWN = 20;
/** Points of a plot without script; a longer history is thinned out. */
export const PLOT_POINTS = 240;
