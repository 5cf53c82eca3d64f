// Aligns the cells of a list in columns, and draws bars. Pure. Invariants: control characters are escaped before widths are computed, so
// that no name breaks the columns; a cell that is cut ends with `~`.

import { escapeControls } from '@rsio/base/lib/printable';
import { fit, textWidth } from './text-width.ts';

const GAP = '  ';

export interface ColumnSpec {
  readonly heading: string;
  readonly alignment?: 'right';
  /** The column is at least this wide, so that a longer or shorter cell does not move the other columns. */
  readonly columnsMin?: number;
  /** The column is at most this wide. By default, the column is as wide as its widest cell. */
  readonly columnsMax?: number;
}

export interface Table {
  readonly heading: string;
  readonly lines: readonly string[];
}

/** Returns the heading and one line for each row. The last column takes the rest of `room` and is cut there. */
export function tableOf(specs: readonly ColumnSpec[], rows: readonly (readonly string[])[], room: number): Table {
  const table = rows.map((cells) => cells.map(escapeControls));
  const widths = specs.map(({ heading, columnsMin = 0, columnsMax = room }, column) =>
    Math.min(
      columnsMax,
      table.reduce((width, cells) => Math.max(width, textWidth(cells[column] ?? '')), Math.max(columnsMin, heading.length)),
    ),
  );
  const last = specs.length - 1;
  widths[last] = Math.max(1, room - widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0));
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => aligned(cell, widths[column] ?? 0, specs[column]?.alignment === 'right'))
      .join(GAP)
      .trimEnd();
  return { heading: lineOf(specs.map(({ heading }) => heading)), lines: table.map(lineOf) };
}

function aligned(cell: string, width: number, isRight: boolean): string {
  return isRight ? ' '.repeat(Math.max(0, width - textWidth(cell))) + fit(cell, Math.min(width, textWidth(cell))) : fit(cell, width);
}

const BAR_COLUMNS = 20;

/** Draws a share from 0 to 1 as `[####....]  42%`; rows-view.ts replaces `#` and `.` by symbols of the character set in use. */
export function shareBar(share: number | null, columns = BAR_COLUMNS): string {
  if (share === null) return `[${'.'.repeat(columns)}]   -`;
  const inside = Math.max(0, Math.min(1, share));
  const filled = Math.round(inside * columns);
  return `[${'#'.repeat(filled)}${'.'.repeat(columns - filled)}] ${String(Math.floor(inside * 100)).padStart(3)}%`;
}
