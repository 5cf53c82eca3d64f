// Draws a whole screen: title line, framed page or form, hint, key line, and questions on top. Pure: drawState() turns a state into a
// canvas and a cursor position. Invariant: a terminal below 80x24 shows only the message that it is too small.

import { focused, type Form } from '../model/form.ts';
import { isUnsaved, type State, topScreen } from '../model/state.ts';
import { pageOf } from '../pages/pages.ts';
import { drawBorder, pageSize, type Signs, HINT_ROWS } from '../widgets/border.ts';
import { Canvas } from '../widgets/canvas.ts';
import { SCREEN_COLUMNS_MIN, SCREEN_ROWS_MIN } from '../widgets/limits.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';
import { drawForm, formHint } from './form-view.ts';
import { drawRows } from './page-view.ts';
import { drawPopup } from './popup-view.ts';

export interface CursorPosition {
  readonly row: number;
  readonly column: number;
}

export interface Drawn {
  readonly canvas: Canvas;
  /** Position of the text cursor; null if the cursor is hidden. */
  readonly cursor: CursorPosition | null;
}

export function drawState(state: State, signs: Signs): Drawn {
  const canvas = new Canvas(state.size);
  const { columns, rows } = state.size;
  if (columns < SCREEN_COLUMNS_MIN || rows < SCREEN_ROWS_MIN) return drawTooSmall(canvas);
  const screen = topScreen(state);
  const page = pageOf(state);
  const mark = isUnsaved(state) ? '* not saved ' : '';
  canvas.put(0, 0, fit(' crsio', columns), 'inverse');
  canvas.put(0, columns - textWidth(mark), mark, 'inverse');
  const inside = { row: 2, column: 2, size: pageSize(state.size) };
  drawBorder(canvas, 1, 0, { columns, rows: inside.size.rows + 2 }, page.title, signs);
  let cursor: CursorPosition | null = null;
  if (screen.kind === 'form') cursor = drawForm(canvas, inside, screen.form, signs);
  else drawRows(canvas, inside, page.rows, screen.focus, signs);
  const words = screen.kind === 'form' ? formHint(screen.form) : { style: 'plain' as const, text: page.hint };
  drawHint(canvas, rows - 1 - HINT_ROWS, state.note === null ? words : { style: 'bold', text: state.note });
  canvas.put(rows - 1, 0, fit(` ${keysOf(state)}`, columns), 'inverse');
  const popup = state.popups.at(-1);
  if (popup === undefined) return { canvas, cursor };
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

function keysOf(state: State): string {
  const popup = state.popups.at(-1);
  if (popup !== undefined) return popup.choices.length > 0 ? 'Up Down choose   Enter take   Esc close' : 'Up Down scroll   Esc close';
  const screen = topScreen(state);
  const own = screen.kind === 'form' ? formKeys(screen.form) : { hasSecrets: false, hasChoices: false };
  const canRemove = pageOf(state).rows.some(({ remove }) => remove !== null);
  const keys: readonly (readonly [boolean, string])[] = [
    [true, 'F1 Help'],
    [own.hasSecrets, 'F2 Show keys'],
    [true, 'F3 Save'],
    [own.hasChoices, 'F4 Choose'],
    [true, 'F7 Action'],
    [canRemove, 'F8 Remove'],
    [true, 'F10 Leave'],
    [state.screens.length > 1, 'Esc Back'],
  ];
  return keys.flatMap(([isThere, text]) => (isThere ? [text] : [])).join('   ');
}

/** `hasSecrets` is true if F2 has an effect in this form; `hasChoices` is true if F4 has an effect on the focused field. */
function formKeys(form: Form): { readonly hasSecrets: boolean; readonly hasChoices: boolean } {
  const here = focused(form);
  return {
    hasSecrets: form.fields.some(({ entry }) => entry.type.isSecret),
    hasChoices: here.kind === 'field' && here.field.offers.length > 0,
  };
}

function drawTooSmall(canvas: Canvas): Drawn {
  const { columns, rows } = canvas.size;
  const text = `crsio needs ${SCREEN_COLUMNS_MIN}x${SCREEN_ROWS_MIN}, this terminal has ${columns}x${rows}: make it larger`;
  for (const [index, line] of wrap(text, Math.max(1, columns)).entries()) canvas.put(index, 0, line);
  return { canvas, cursor: null };
}
