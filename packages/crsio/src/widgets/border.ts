// Frames around parts of a screen, drawn with the line characters of the terminal or with plain ASCII.
// Invariant: both sets have the same widths, so that a screen looks the same in either.

import type { Canvas, Size } from './canvas.ts';
import { textWidth, truncate } from './text-width.ts';

export type Charset = 'unicode' | 'ascii';

/** Signs that differ between the two. */
export interface Signs {
  readonly horizontal: string;
  readonly vertical: string;
  /** Top left, top right, bottom left, bottom right. */
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

/** A frame whose outer size is `size`, with its title in the upper line. What is inside is cleared. */
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
