// Draws frames around parts of a screen, with line characters or in plain ASCII, and computes the room inside a framed page. Invariant: a
// symbol has the same width in both character sets, so that the layout does not depend on the set.

import type { Canvas, Size } from './canvas.ts';
import { SCREEN_COLUMNS_MIN, SCREEN_ROWS_MIN } from './limits.ts';
import { textWidth, truncate } from './text-width.ts';

export type Charset = 'unicode' | 'ascii';

/** Symbols that differ between the two character sets. */
export interface Signs {
  readonly horizontal: string;
  readonly vertical: string;
  /** The corners in this order: top left, top right, bottom left, bottom right. */
  readonly corners: readonly [string, string, string, string];
  readonly bar: string;
  readonly barRest: string;
  readonly secret: string;
  readonly more: { readonly above: string; readonly below: string };
}

export const SIGNS: Readonly<Record<Charset, Signs>> = {
  unicode: {
    horizontal: '─',
    vertical: '│',
    corners: ['┌', '┐', '└', '┘'],
    bar: '█',
    barRest: '·',
    secret: '•',
    more: { above: '↑', below: '↓' },
  },
  ascii: {
    horizontal: '-',
    vertical: '|',
    corners: ['+', '+', '+', '+'],
    bar: '#',
    barRest: '.',
    secret: '*',
    more: { above: '^', below: 'v' },
  },
};

/** Draws a frame of outer size `size` with its title in the upper line, and clears the inside. */
export function drawBorder(canvas: Canvas, row: number, column: number, size: Size, title: string, signs: Signs): void {
  const inner = size.columns - 2;
  const [topLeft, topRight, bottomLeft, bottomRight] = signs.corners;
  const label = truncate(` ${title} `, inner - 2);
  canvas.put(row, column, topLeft + signs.horizontal.repeat(inner) + topRight);
  canvas.put(row, column + 2, label, 'bold', textWidth(label));
  for (let offset = 1; offset < size.rows - 1; offset++)
    canvas.put(row + offset, column, signs.vertical + ' '.repeat(inner) + signs.vertical);
  canvas.put(row + size.rows - 1, column, bottomLeft + signs.horizontal.repeat(inner) + bottomRight);
}

export const HINT_ROWS = 3;
/** Number of lines outside the page: title, keys, two lines of the frame, and the hint. */
const OTHER_ROWS = 4 + HINT_ROWS;

/** Number of columns for the frame and one space, on both sides together. */
const SIDE_COLUMNS = 4;
/** Number of columns for the `> ` in front of the marked row. */
export const MARK_COLUMNS = 2;

/** Returns the size of the area that a page can use on a terminal of the given size. */
export function pageSize({ columns, rows }: Size): Size {
  return { columns: columns - SIDE_COLUMNS, rows: rows - OTHER_ROWS };
}

/** True if the terminal is large enough for every screen. */
export function isLargeEnough({ columns, rows }: Size): boolean {
  return columns >= SCREEN_COLUMNS_MIN && rows >= SCREEN_ROWS_MIN;
}

/** Number of columns for the text of a row. */
export function rowColumns(size: Size): number {
  return pageSize(size).columns - MARK_COLUMNS;
}
