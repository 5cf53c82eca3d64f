// Tables for people: cells become lines with columns as wide as their widest cell. Pure.
// Invariant: nothing is cut; a line has no white space at its end.

import { escapeControls } from '@rsio/common/lib/printable';

const GAP = '  ';
const RIGHT = '>';

/** The heading first, then a line for each row. A heading that begins with `>` (which is not shown) sets its column to the right. */
export function alignColumns(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const isRight = headings.map((heading) => heading.startsWith(RIGHT));
  const shown = headings.map((heading, column) => (isRight[column] === true ? heading.slice(RIGHT.length) : heading));
  // Widths count what is printed, escapes included.
  const table = [shown, ...rows].map((cells) => cells.map(escapeControls));
  const widths = headings.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  return table.map((cells) =>
    cells
      .map((cell, column) => (isRight[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join(GAP)
      .trimEnd(),
  );
}
