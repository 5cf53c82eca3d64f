// Draws a question, a list of actions or a text over the screen, framed and centred. Invariant: the marked choice is always visible, and
// a popup is never larger than the terminal.

import { plural } from '@rsio/base/lib/units';
import { drawBorder, pageSize, type Signs } from '../widgets/border.ts';
import type { Canvas, Size } from '../widgets/canvas.ts';
import { moved, scrolled } from '../widgets/focus.ts';
import type { KeyName } from '../widgets/keys.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';
import type { Popup } from './machine.ts';

const WIDTH_MAX = 66;
/** Number of columns for the frame and one space, on both sides together. */
const SIDES = 4;
const FIRST_ROW = 1;
/** Number of choices for which a long text leaves room. */
const CHOICES_SHOWN = 3;

export function drawPopup(canvas: Canvas, popup: Popup<unknown>, signs: Signs): void {
  const { columns } = canvas.size;
  const width = innerWidth(popup);
  const whole = popup.text === '' ? [] : wrap(popup.text, width);
  const isText = popup.choices.length === 0;
  const gap = whole.length > 0 && !isText ? 1 : 0;
  const room = isText ? whole.length : bodyRows(canvas.size) - gap - Math.min(popup.choices.length, CHOICES_SHOWN);
  const text = whole.length <= room ? whole : [...whole.slice(0, room - 1), `... and ${plural(whole.length - room + 1, 'more line')}`];
  const height = Math.min(text.length + gap + popup.choices.length, bodyRows(canvas.size));
  const top = FIRST_ROW + Math.floor((bodyRows(canvas.size) - height) / 2);
  const left = Math.floor((columns - width - SIDES) / 2);
  drawBorder(canvas, top, left, { columns: width + SIDES, rows: height + 2 }, popup.title, signs);
  const first = isText ? Math.min(popup.focus, text.length - height) : 0;
  for (const [index, line] of text.slice(first, first + height).entries()) canvas.put(top + 1 + index, left + 2, line);
  if (isText) {
    if (first > 0) canvas.put(top + 1, left + width + 2, signs.more.above);
    if (first + height < text.length) canvas.put(top + height, left + width + 2, signs.more.below);
    return;
  }
  const shown = height - text.length - gap;
  const scroll = Math.max(0, popup.focus - shown + 1);
  for (const [index, { label }] of popup.choices.slice(scroll, scroll + shown).entries()) {
    const isMarked = index + scroll === popup.focus;
    const line = fit(`${isMarked ? '> ' : '  '}${label}`, width);
    canvas.put(top + 1 + text.length + gap + index, left + 2, line, isMarked ? 'selected' : 'plain');
  }
}

/** Returns the focus of a popup after a key: the marked choice, or the first visible line of a text. */
export function popupFocus(popup: Popup<unknown>, size: Size, key: KeyName): number {
  const count = popup.choices.length;
  return count === 0 ? scrolled(popup.focus, lastPopupTop(popup, size), key) : moved(popup.focus, count, key);
}

/** Returns the index of the first visible line when the popup's text is scrolled to its end. */
function lastPopupTop(popup: Popup<unknown>, size: Size): number {
  return Math.max(0, wrap(popup.text, innerWidth(popup)).length - bodyRows(size));
}

/** The popup stays within the page's frame, so that the hint and the key line remain visible. */
function bodyRows(size: Size): number {
  return pageSize(size).rows;
}

function innerWidth(popup: Popup<unknown>): number {
  const labels = popup.choices.map(({ label }) => textWidth(label) + 2);
  const lines = popup.text.split('\n').map(textWidth);
  return Math.min(WIDTH_MAX, Math.max(textWidth(popup.title) + 2, ...labels, ...lines));
}
