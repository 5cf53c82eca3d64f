// Draws the rows of a page into an area of the canvas: the marked row is always visible, with as many other rows as fit. Invariant: rows
// that can be chosen are cut, so that columns stay aligned; text-only rows are wrapped.

import { MARK_COLUMNS, type Signs } from '../widgets/border.ts';
import type { Canvas, Size } from '../widgets/canvas.ts';
import { moved, scrolled } from '../widgets/focus.ts';
import type { KeyName } from '../widgets/keys.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';
import type { Row, Tone } from './rows.ts';

export interface Area {
  readonly row: number;
  readonly column: number;
  readonly size: Size;
}

interface Line {
  readonly row: Row<unknown>;
  readonly text: string;
  /** Index of the line within its row. */
  readonly index: number;
}

/** `focus` is an index among the rows that can be chosen. If no row can be chosen, `focus` is the index of the first visible line. */
export function drawRows(canvas: Canvas, area: Area, rows: readonly Row<unknown>[], focus: number, signs: Signs): void {
  const { columns, rows: height } = area.size;
  const marked = markedRow(rows, focus);
  const lines = rows.flatMap((row) => textsOf(row, columns).map((text, index): Line => ({ row, text, index })));
  const last = marked === undefined ? focus + height : lines.findLastIndex(({ row }) => row === marked) + 1;
  const top = Math.max(0, Math.min(marked === undefined ? focus : last - height, lines.length - height));
  for (const [index, line] of lines.slice(top, top + height).entries()) {
    drawLine(canvas, { row: area.row + index, column: area.column, columns }, line, line.row === marked, signs);
  }
  if (top > 0) canvas.put(area.row, area.column + columns, signs.more.above);
  if (top + height < lines.length) canvas.put(area.row + height - 1, area.column + columns, signs.more.below);
}

/** Returns the marked row of a page, or undefined if no row can be chosen. */
export function markedRow<C>(rows: readonly Row<C>[], focus: number): Row<C> | undefined {
  const targets = targetsOf(rows);
  return targets[Math.min(focus, targets.length - 1)];
}

/** Returns the focus of a page of this size after a key. */
export function pageFocus(rows: readonly Row<unknown>[], focus: number, size: Size, key: KeyName): number {
  const count = targetsOf(rows).length;
  return count === 0 ? scrolled(focus, lastTop(rows, size), key) : moved(focus, count, key);
}

function targetsOf<C>(rows: readonly Row<C>[]): readonly Row<C>[] {
  return rows.filter(({ command }) => command !== null);
}

/** Returns the index of the first visible line when a page without choices is scrolled to its end. */
function lastTop(rows: readonly Row<unknown>[], { columns, rows: height }: Size): number {
  return Math.max(0, rows.reduce((sum, row) => sum + textsOf(row, columns).length, 0) - height);
}

interface LinePlace {
  readonly row: number;
  readonly column: number;
  readonly columns: number;
}

function drawLine(canvas: Canvas, { row, column, columns }: LinePlace, line: Line, isMarked: boolean, signs: Signs): void {
  const mark = isMarked && line.index === 0 ? '> ' : '  ';
  const text = fit(mark + withBars(line.text, signs), columns);
  canvas.put(row, column, text, isMarked ? 'selected' : styleOf(line.row, line.text), columns);
  const { tone } = line.row;
  if (tone !== undefined && tone !== null && !isMarked && line.index === 0) colour(canvas, row, column, text, tone);
}

/** A line that starts with the problem sign `!` is drawn as a problem in every kind of row. */
function styleOf({ isHeading, isProblem }: Row<unknown>, line: string): 'plain' | 'heading' | 'problem' {
  if (isProblem === true || /^ *! /.test(line)) return 'problem';
  return isHeading === true ? 'heading' : 'plain';
}

function textsOf({ lines, command }: Row<unknown>, columns: number): readonly string[] {
  const width = columns - MARK_COLUMNS;
  return command === null ? lines.flatMap((line) => wrapIndented(line, width)) : lines;
}

function wrapIndented(line: string, width: number): string[] {
  if (textWidth(line) <= width) return [line];
  const indent = /^ */.exec(line)?.[0] ?? '';
  const deeper = `${indent}  `;
  const [first = '', ...rest] = wrap(line.slice(indent.length), width - deeper.length);
  return [indent + first, ...rest.map((each) => deeper + each)];
}

/** Colours the sign at the beginning of the line, and the filled part of the first bar in the line. */
function colour(canvas: Canvas, row: number, column: number, text: string, tone: Tone): void {
  canvas.put(row, column + MARK_COLUMNS, text.slice(MARK_COLUMNS, MARK_COLUMNS + 1), tone);
  const bar = /\[([█#]+)[·.]*\]/.exec(text);
  if (bar === null) return;
  canvas.put(row, column + textWidth(text.slice(0, bar.index + 1)), bar[1] ?? '', tone === 'warning' ? 'problem' : tone);
}

function withBars(line: string, signs: Signs): string {
  return line.replace(
    /\[(#*)(\.*)\]/g,
    (_, filled: string, rest: string) => `[${signs.bar.repeat(filled.length)}${signs.barRest.repeat(rest.length)}]`,
  );
}
