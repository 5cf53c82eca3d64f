// The figures of one section as a table whose columns have units. The table goes to the JSON file unchanged. `sheetText` formats the table
// for the output during a run, and `sheetMarkdown` for the documents. Pure.

import type { Spread } from './summary.ts';

export interface Column {
  /** Heading of the column, with its unit. */
  readonly heading: string;
  readonly digits: number;
}

export interface Line {
  readonly what: string;
  /** The figure for each column; null: it was not measured, or has no meaning in this line. */
  readonly values: readonly (Spread | null)[];
}

export interface Sheet {
  /** Name of the sheet's section, for `--only`. */
  readonly name: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly lines: readonly Line[];
  /** Conditions that limit what the figures show. */
  readonly notes: readonly string[];
}

const GAP = '  ';

/** `12.3 (11.9-12.8)`; a figure that was measured once has no bounds. */
export function spreadText({ median, min, max }: Spread, digits: number): string {
  const text = (value: number): string => value.toFixed(digits);
  return min === max ? text(median) : `${text(median)} (${text(min)}-${text(max)})`;
}

function cellsOf({ columns, lines }: Sheet): string[][] {
  return lines.map(({ what, values }) => [
    what,
    ...columns.map(({ digits }, index) => {
      const value = values[index] ?? null;
      return value === null ? '-' : spreadText(value, digits);
    }),
  ]);
}

export function sheetText(sheet: Sheet): string {
  const rows = [['', ...sheet.columns.map(({ heading }) => heading)], ...cellsOf(sheet)];
  const widths = rows[0]?.map((_unused, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(GAP)}`.trimEnd());
  return [`${sheet.title}  [${sheet.name}]`, ...lines, ...sheet.notes.map((note) => `  Note: ${note}`), ''].join('\n');
}

export function sheetMarkdown(sheet: Sheet): string[] {
  const headings = ['', ...sheet.columns.map(({ heading }) => heading)];
  const rows = [headings, headings.map(() => '---'), ...cellsOf(sheet)].map((row) => `| ${row.join(' | ')} |`);
  return [`${sheet.title}:`, '', ...rows, ...sheet.notes.flatMap((note) => ['', `${note}.`])];
}
