// A line of text that is being edited, as an immutable value: every key press yields a new value. editWindow() returns the visible part and
// the cursor's column. Invariant: the cursor is between grapheme clusters, and the text has no control characters and at most
// FIELD_TEXT_MAX_CHARS.

import { FIELD_TEXT_MAX_CHARS } from './limits.ts';
import type { KeyName } from './keys.ts';
import { graphemesOf, textWidth } from './text-width.ts';

export interface LineEdit {
  readonly graphemes: readonly string[];
  /** Number of graphemes before the cursor. */
  readonly cursor: number;
}

/** Returns an edit of `text` with the cursor at the end. */
export function editOf(text: string): LineEdit {
  const graphemes = graphemesOf(clean(text)).slice(0, FIELD_TEXT_MAX_CHARS);
  return { graphemes, cursor: graphemes.length };
}

export function editedText(edit: LineEdit): string {
  return edit.graphemes.join('');
}

/**
 * Inserts typed or pasted text at the cursor. If the text has several lines, only the first line that is not blank is inserted, without
 * leading and trailing spaces.
 */
export function insertText(edit: LineEdit, text: string): LineEdit {
  const lines = text.split(/[\r\n]+/);
  const inserted = clean(lines.length > 1 ? (lines.find((line) => line.trim() !== '') ?? '').trim() : text);
  const before = edit.graphemes.slice(0, edit.cursor).join('') + inserted;
  const graphemes = graphemesOf(before + edit.graphemes.slice(edit.cursor).join(''));
  if (inserted === '' || graphemes.length > FIELD_TEXT_MAX_CHARS) return edit;
  // Count the graphemes again after the insertion, because an inserted combining mark joins the grapheme before it.
  return { graphemes, cursor: Math.min(graphemesOf(before).length, graphemes.length) };
}

/** Returns the edit after a key press; null if the key does not edit text. */
export function pressEdit(edit: LineEdit, key: KeyName): LineEdit | null {
  const { graphemes, cursor } = edit;
  switch (key) {
    case 'left':
      return { graphemes, cursor: Math.max(0, cursor - 1) };
    case 'right':
      return { graphemes, cursor: Math.min(graphemes.length, cursor + 1) };
    case 'home':
      return { graphemes, cursor: 0 };
    case 'end':
      return { graphemes, cursor: graphemes.length };
    case 'backspace':
      return cursor === 0 ? edit : { graphemes: graphemes.toSpliced(cursor - 1, 1), cursor: cursor - 1 };
    case 'delete':
      return { graphemes: graphemes.toSpliced(cursor, 1), cursor };
    case 'cut-before':
      return { graphemes: graphemes.slice(cursor), cursor: 0 };
    case 'cut-after':
      return { graphemes: graphemes.slice(0, cursor), cursor };
    case 'cut-word':
      return cutWord(edit);
    default:
      return null;
  }
}

export interface EditWindow {
  readonly text: string;
  readonly cursorColumn: number;
}

/**
 * Returns the part of the line that is visible in `width` columns. The visible part includes the cursor, whose column is at most `width -
 * 1`.
 */
export function editWindow(edit: LineEdit, width: number, hidden: string | null): EditWindow {
  const shown = hidden === null ? edit.graphemes : edit.graphemes.map(() => hidden);
  let start = 0;
  const columnsTo = (end: number): number => textWidth(shown.slice(start, end).join(''));
  while (columnsTo(edit.cursor) > width - 1) start += 1;
  let end = start;
  while (end < shown.length && columnsTo(end + 1) <= width) end += 1;
  return { text: shown.slice(start, end).join(''), cursorColumn: columnsTo(edit.cursor) };
}

function cutWord({ graphemes, cursor }: LineEdit): LineEdit {
  const before = graphemes.slice(0, cursor).join('');
  const kept = graphemesOf(before.replace(/\S*\s*$/u, ''));
  return { graphemes: [...kept, ...graphemes.slice(cursor)], cursor: kept.length };
}

/** Removes control characters and marks that change the direction of text. */
function clean(text: string): string {
  return graphemesOf(text.replaceAll('\t', ' '))
    .filter((grapheme) => !/\p{Cc}|[\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(grapheme))
    .join('');
}
