// Draws a form: labels, fields with their value or default, and the buttons. Invariant: the field or button with the focus is always
// visible.

import type { Signs } from '../widgets/border.ts';
import type { Canvas } from '../widgets/canvas.ts';
import { editWindow } from '../widgets/line-edit.ts';
import { fit } from '../widgets/text-width.ts';
import { type Field, fieldProblem, fieldText, focusable, focused, type Form } from './form.ts';
import type { Area } from './rows-view.ts';

const LABEL_COLUMNS = 16;
const FIELD_COLUMNS = 40;
const BUTTONS = { ok: '[ OK ]', cancel: '[ Cancel ]', more: '[ More settings ]' } as const;

/** Draws the form. Returns the position of the cursor, or null if a button has the focus. */
export function drawForm(canvas: Canvas, area: Area, form: Form, signs: Signs): { row: number; column: number } | null {
  const all = focusable(form);
  const height = area.size.rows;
  const top = Math.max(0, Math.min(form.focus - height + 1, all.length - height));
  let cursor: { row: number; column: number } | null = null;
  for (const [index, each] of all.slice(top, top + height).entries()) {
    const row = area.row + index;
    const isFocused = index + top === form.focus;
    canvas.put(row, area.column, isFocused ? '> ' : '  ', 'bold');
    if (each.kind === 'button') {
      canvas.put(row, area.column + 2, BUTTONS[each.button], isFocused ? 'selected' : 'plain');
      continue;
    }
    const column = drawField(canvas, { row, column: area.column + 2, isFocused }, form, each.field, signs);
    if (isFocused) cursor = { row, column };
  }
  if (top > 0) canvas.put(area.row, area.column + area.size.columns, signs.more.above);
  if (top + height < all.length) canvas.put(area.row + height - 1, area.column + area.size.columns, signs.more.below);
  return cursor;
}

interface FieldPosition {
  readonly row: number;
  readonly column: number;
  readonly isFocused: boolean;
}

function drawField(canvas: Canvas, { row, column, isFocused }: FieldPosition, form: Form, field: Field, signs: Signs): number {
  const isHidden = field.entry.type.isSecret && !form.isShown;
  const { text, cursorColumn } = editWindow(field.edit, FIELD_COLUMNS, isHidden ? signs.secret : null);
  const start = column + LABEL_COLUMNS;
  canvas.put(row, column, `${field.key}${field.entry.isRequired ? ' *' : ''}`, 'plain', LABEL_COLUMNS - 1);
  canvas.put(row, start - 1, '[');
  canvas.put(row, start, fit(text, FIELD_COLUMNS), isFocused ? 'selected' : 'underline');
  canvas.put(row, start + FIELD_COLUMNS, ']');
  canvas.put(row, start + FIELD_COLUMNS + 2, noteOf(field));
  return start + cursorColumn;
}

function noteOf(field: Field): string {
  if (fieldProblem(field, false) !== null) return '! wrong';
  if (fieldText(field) !== '') return '';
  if (field.entry.isRequired) return 'needed';
  return field.entry.default === null ? '' : `(${field.entry.default})`;
}

/**
 * Returns the error in the form or in the focused field. If there is no error, returns the description and the allowed values of the
 * focused field.
 */
export function formHint(form: Form): { readonly style: 'plain' | 'problem'; readonly text: string } {
  if (form.problem !== null) return { style: 'problem', text: `! ${form.problem}` };
  const here = focused(form);
  if (here.kind === 'button') {
    const texts = { ok: 'Applies the form', cancel: 'Leaves the form', more: 'Shows settings that are rarely needed' } as const;
    return { style: 'plain', text: texts[here.button] };
  }
  const problem = fieldProblem(here.field, false);
  if (problem !== null) return { style: 'problem', text: `! ${problem}` };
  const { help, type } = here.field.entry;
  return { style: 'plain', text: `Allowed: ${type.allowed}\n${help}` };
}
