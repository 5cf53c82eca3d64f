// Lays out text and tables for a terminal. Pure. Invariants: no control character from a name reaches the terminal. No cell is truncated,
// and no line ends in white space.

import { escapeControls } from '@rsio/base/lib/printable';

/** Returns the lines as text, each with a line end, and with control characters escaped. */
export function toText(lines: readonly string[]): string {
  return lines.map((line) => `${escapeControls(line)}\n`).join('');
}

const GAP = '  ';
const RIGHT = '>';

/** Returns the heading, then a line for each row. A heading that starts with `>` (which is not printed) aligns its column to the right. */
export function alignColumns(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const isRight = headings.map((heading) => heading.startsWith(RIGHT));
  const shown = headings.map((heading, column) => (isRight[column] === true ? heading.slice(RIGHT.length) : heading));
  // The cells are escaped first, because the column widths must include the escapes.
  const table = [shown, ...rows].map((cells) => cells.map(escapeControls));
  const widths = headings.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  return table.map((cells) =>
    cells
      .map((cell, column) => (isRight[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join(GAP)
      .trimEnd(),
  );
}
