// Draws the rows of a page into an area of the canvas: the marked row is always visible, with as many other rows as fit. Invariant: rows
// that can be chosen are cut, so that columns stay aligned; text-only rows are wrapped.

import type { Row } from '../pages/page.ts';
import { MARK_COLUMNS, type Signs } from '../widgets/border.ts';
import type { Canvas, Size } from '../widgets/canvas.ts';
import { fit, textWidth, wrap } from '../widgets/text-width.ts';

export interface Area {
  readonly row: number;
  readonly column: number;
  readonly size: Size;
}

interface Line {
  readonly text: string;
  readonly style: 'plain' | 'bold' | 'inverse' | 'problem';
}

/** `focus` is an index among the rows that can be chosen. If no row can be chosen, `focus` is the index of the first visible line. */
export function drawRows(canvas: Canvas, area: Area, rows: readonly Row[], focus: number, signs: Signs): void {
  const { columns, rows: height } = area.size;
  const targets = rows.filter(({ command }) => command !== null);
  const marked = targets[Math.min(focus, targets.length - 1)];
  const lines = rows.flatMap((row) => linesOf(row, row === marked, columns, signs));
  const last = marked === undefined ? focus + height : lines.findLastIndex(({ style }) => style === 'inverse') + 1;
  const top = Math.max(0, Math.min(marked === undefined ? focus : last - height, lines.length - height));
  for (const [index, { text, style }] of lines.slice(top, top + height).entries()) {
    canvas.put(area.row + index, area.column, text, style, columns);
  }
  if (top > 0) canvas.put(area.row, area.column + columns, signs.more.above);
  if (top + height < lines.length) canvas.put(area.row + height - 1, area.column + columns, signs.more.below);
}

/** Returns the index of the first visible line when a page without choices is scrolled to its end. */
export function lastTop(rows: readonly Row[], { columns, rows: height }: Size): number {
  return Math.max(0, rows.reduce((sum, row) => sum + textsOf(row, columns).length, 0) - height);
}

function linesOf(row: Row, isMarked: boolean, columns: number, signs: Signs): Line[] {
  return textsOf(row, columns).map((line, index) => {
    const style = isMarked ? 'inverse' : styleOf(row, line);
    const mark = isMarked && index === 0 ? '> ' : '  ';
    return { text: fit(mark + withBars(line, signs), columns), style };
  });
}

/** A line that starts with the problem sign `!` is drawn as a problem in every kind of row. */
function styleOf({ isHeading, isProblem }: Row, line: string): Line['style'] {
  if (isProblem === true || /^ *! /.test(line)) return 'problem';
  return isHeading === true ? 'bold' : 'plain';
}

function textsOf({ lines, command }: Row, columns: number): readonly string[] {
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

function withBars(line: string, signs: Signs): string {
  return line.replace(
    /\[(#*)(\.*)\]/g,
    (_, filled: string, rest: string) => `[${signs.bar.repeat(filled.length)}${signs.barRest.repeat(rest.length)}]`,
  );
}
