// Draws a whole screen: title line, framed page or form, hint, key line, and questions on top. Pure: drawPicture() turns a picture into a
// canvas and a cursor position. client-view.ts and the server's view say what the picture holds. Invariant: a terminal below 80x24 shows
// only the message that it is too small.

import type { Form } from '../model/form.ts';
import type { Row } from '../pages/page.ts';
import { drawBorder, HINT_ROWS, isLargeEnough, pageSize, type Signs } from '../widgets/border.ts';
import { Canvas, type Size } from '../widgets/canvas.ts';
import { SCREEN_COLUMNS_MIN, SCREEN_ROWS_MIN } from '../widgets/limits.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';
import { drawForm } from './form-view.ts';
import { drawRows } from './page-view.ts';
import { drawPopup, type PopupPicture } from './popup-view.ts';

export interface CursorPosition {
  readonly row: number;
  readonly column: number;
}

export interface Drawn {
  readonly canvas: Canvas;
  /** Position of the text cursor; null if the cursor is hidden. */
  readonly cursor: CursorPosition | null;
}

/** Everything that a screen shows. */
export interface Picture {
  readonly size: Size;
  /** At the right end of the title line. */
  readonly mark: string;
  readonly title: string;
  readonly content:
    | { readonly kind: 'form'; readonly form: Form }
    | { readonly kind: 'rows'; readonly rows: readonly Row<unknown>[]; readonly focus: number };
  /** Below the page. */
  readonly words: { readonly style: 'plain' | 'bold' | 'problem'; readonly text: string };
  readonly keys: string;
  readonly popup: PopupPicture | null;
}

export function drawPicture(picture: Picture, signs: Signs): Drawn {
  const { size, mark, content, popup } = picture;
  const canvas = new Canvas(size);
  const { columns, rows } = size;
  if (!isLargeEnough(size)) return drawTooSmall(canvas);
  canvas.put(0, 0, fit(' crsio', columns), 'inverse');
  canvas.put(0, columns - textWidth(mark), mark, 'inverse');
  const inside = { row: 2, column: 2, size: pageSize(size) };
  drawBorder(canvas, 1, 0, { columns, rows: inside.size.rows + 2 }, picture.title, signs);
  let cursor: CursorPosition | null = null;
  if (content.kind === 'form') cursor = drawForm(canvas, inside, content.form, signs);
  else drawRows(canvas, inside, content.rows, content.focus, signs);
  drawHint(canvas, rows - 1 - HINT_ROWS, picture.words);
  canvas.put(rows - 1, 0, fit(` ${picture.keys}`, columns), 'inverse');
  if (popup === null) return { canvas, cursor };
  drawPopup(canvas, popup, signs);
  return { canvas, cursor: null };
}

function drawHint(canvas: Canvas, row: number, words: { readonly style: 'plain' | 'bold' | 'problem'; readonly text: string }): void {
  const width = canvas.size.columns - 2;
  const lines = wrap(words.text, width);
  // Cut a hint that is too long and mark the cut; F1 shows the whole text.
  const cut = lines.length > HINT_ROWS ? [...lines.slice(0, HINT_ROWS - 1), lines.slice(HINT_ROWS - 1).join(' ')] : lines;
  for (const [index, line] of cut.entries()) canvas.put(row + index, 1, fit(line, width), words.style);
}

function drawTooSmall(canvas: Canvas): Drawn {
  const { columns, rows } = canvas.size;
  const text = `crsio needs ${SCREEN_COLUMNS_MIN}x${SCREEN_ROWS_MIN}, this terminal has ${columns}x${rows}: make it larger`;
  for (const [index, line] of wrap(text, Math.max(1, columns)).entries()) canvas.put(index, 0, line);
  return { canvas, cursor: null };
}
