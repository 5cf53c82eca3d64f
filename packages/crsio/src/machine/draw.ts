// Draws the state of a part: title line, framed page or form, hint, key line, and the popup on top. Pure: draw() turns a state into a
// canvas and a cursor position. Invariants: a terminal below 80x24 shows only the message that it is too small; the key line names only
// keys that have an effect.

import { drawBorder, HINT_ROWS, isLargeEnough, pageSize, type Signs } from '../widgets/border.ts';
import { Canvas } from '../widgets/canvas.ts';
import { SCREEN_COLUMNS_MIN, SCREEN_ROWS_MIN } from '../widgets/limits.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';
import { hasOffers } from './form-page.ts';
import { drawForm, formHint } from './form-view.ts';
import { type Command, type Machine, topOf } from './machine.ts';
import { drawPopup } from './popup-view.ts';
import type { Content } from './rows.ts';
import { drawRows } from './rows-view.ts';
import { contentOf } from './update.ts';

export interface CursorPosition {
  readonly row: number;
  readonly column: number;
}

export interface Drawn {
  readonly canvas: Canvas;
  /** Position of the text cursor; null if the cursor is hidden. */
  readonly cursor: CursorPosition | null;
}

export function draw<S extends Machine<S>>(state: S, signs: Signs): Drawn {
  const { size, role, note } = state;
  const canvas = new Canvas(size);
  const { columns, rows } = size;
  if (!isLargeEnough(size)) return drawTooSmall(canvas);
  const page = topOf(state);
  const content = contentOf(state);
  const popup = state.popups.at(-1) ?? null;
  const mark = role.mark(state);
  canvas.put(0, 0, fit(' crsio', columns), 'inverse');
  canvas.put(0, columns - textWidth(mark), mark, 'inverse');
  const inside = { row: 2, column: 2, size: pageSize(size) };
  drawBorder(canvas, 1, 0, { columns, rows: inside.size.rows + 2 }, content.title, signs);
  let cursor: CursorPosition | null = null;
  if (page.kind === 'form') cursor = drawForm(canvas, inside, page.form, signs);
  else drawRows(canvas, inside, content.rows, page.focus, signs);
  const hint = page.kind === 'form' ? formHint(page.form) : ({ style: 'plain', text: content.hint } as const);
  drawHint(canvas, rows - 1 - HINT_ROWS, note === null ? hint : { style: 'bold', text: note });
  canvas.put(rows - 1, 0, fit(` ${role.keys ?? keysOf(state, content)}`, columns), 'inverse');
  if (popup === null) return { canvas, cursor };
  drawPopup(canvas, popup, signs);
  return { canvas, cursor: null };
}

function keysOf<S extends Machine<S>>(state: S, { rows, actions }: Content<Command<S>>): string {
  const popup = state.popups.at(-1);
  if (popup?.mark) return 'Up Down choose   Space mark   Enter take   Esc close';
  if (popup !== undefined) return popup.choices.length > 0 ? 'Up Down choose   Enter take   Esc close' : 'Up Down scroll   Esc close';
  const page = topOf(state);
  const save = state.role.saveKey(page);
  const keys: readonly (readonly [boolean, string])[] = [
    [true, 'F1 Help'],
    [page.kind === 'form' && page.form.fields.some(({ entry }) => entry.type.isSecret), 'F2 Show keys'],
    [save !== null, `F3 ${save}`],
    [page.kind === 'form' && hasOffers(page), 'F4 Choose'],
    [actions !== null, 'F7 Action'],
    [rows.some(({ remove }) => remove !== null), 'F8 Remove'],
    [true, 'F10 Leave'],
    [state.pages.length > 1 || state.hasStart, 'Esc Back'],
  ];
  return keys.flatMap(([isThere, text]) => (isThere ? [text] : [])).join('   ');
}

function drawHint(canvas: Canvas, row: number, words: { readonly style: 'plain' | 'bold' | 'problem'; readonly text: string }): void {
  const width = canvas.size.columns - 2;
  const lines = wrap(words.text, width);
  // A hint that is too long is cut, and the cut is marked; F1 shows the whole text.
  const cut = lines.length > HINT_ROWS ? [...lines.slice(0, HINT_ROWS - 1), lines.slice(HINT_ROWS - 1).join(' ')] : lines;
  for (const [index, line] of cut.entries()) canvas.put(row + index, 1, fit(line, width), words.style);
}

function drawTooSmall(canvas: Canvas): Drawn {
  const { columns, rows } = canvas.size;
  const text = `crsio needs ${SCREEN_COLUMNS_MIN}x${SCREEN_ROWS_MIN}, this terminal has ${columns}x${rows}: make it larger`;
  for (const [index, line] of wrap(text, Math.max(1, columns)).entries()) canvas.put(index, 0, line);
  return { canvas, cursor: null };
}
