// How much room the rows of a page have on a terminal of a size. Pure.
// Leaves drawing to page-view.ts and frame.ts.

import type { Size } from './canvas.ts';

/** Lines of words below the frame. */
export const WORD_ROWS = 3;
/** Lines that are not the page's: one on top, one of keys, two of the frame, and the words. */
const OTHER_ROWS = 4 + WORD_ROWS;

/** The frame and a space on each side. */
const SIDE_COLUMNS = 4;
/** `> ` before the marked row. */
export const MARK_COLUMNS = 2;

/** The room a page has on a terminal of this size. */
export function pageSize({ columns, rows }: Size): Size {
  return { columns: columns - SIDE_COLUMNS, rows: rows - OTHER_ROWS };
}

/** Columns of the text of a row. */
export function rowColumns(size: Size): number {
  return pageSize(size).columns - MARK_COLUMNS;
}
