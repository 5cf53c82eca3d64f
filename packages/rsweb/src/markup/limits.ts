// Bounds of one page.
// For the elements beyond a bound, a page shows their number or links to further pages.

/** Rows of a table on one page. With 500, the first page with 200 volumes would be twice as slow. */
export const ROWS_PER_PAGE = 50;
/** Maximum number of clients in the diagram of the first page: clients with a fault first, then the busiest ones. */
export const CLIENTS_DRAWN = 60;
/** Maximum number of volumes of a pool in the diagram. */
export const VOLUMES_DRAWN = 120;
/** Maximum number of findings on a page; the page shows the number of further findings. */
export const FINDINGS_SHOWN = 80;
export const EVENTS_SHOWN = 20;
/** Maximum number of points of a plot without script; a longer history is thinned out. */
export const PLOT_POINTS = 240;
