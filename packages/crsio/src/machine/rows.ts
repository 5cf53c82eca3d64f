// The content of a list page before it is drawn: rows with their commands, the actions (F7) and the help (F1). Pure. Invariant: a row
// carries all information in its text, because the terminal may not show colours.

import { graphemesOf, textWidth } from '../widgets/text-width.ts';

/** The condition of the object in a row, which determines the colour of the row. */
export type Tone = 'ok' | 'warning' | 'problem';

/** `C`: the type of commands. */
export interface Row<C> {
  readonly lines: readonly string[];
  /** Identifies the row when the list changes. A row without an id is identified by its first line. */
  readonly id?: string;
  /** The command that Enter executes; null if the row is only text. */
  readonly command: C | null;
  /** The command that F8 and Delete execute; null if the row cannot be removed. */
  readonly remove: C | null;
  readonly isHeading?: boolean;
  /** Colour of the bars of the row, and of the sign at its beginning. The row has no colour if `tone` is null or not set. */
  readonly tone?: Tone | null;
  readonly isProblem?: boolean;
}

export interface Choice<C> {
  readonly label: string;
  /** The command that the choice executes; null if the choice only closes the popup. */
  readonly command: C | null;
  /** True if the popup stays open below the popup that the command opens. */
  readonly isStaying?: boolean;
}

export interface HelpText {
  readonly title: string;
  readonly text: string;
}

export interface Content<C> {
  readonly title: string;
  readonly rows: readonly Row<C>[];
  /** The actions that F7 lists; null if F7 has no effect. */
  readonly actions: readonly Choice<C>[] | null;
  /** A suggestion for the next step, which is shown below the page. */
  readonly hint: string;
  readonly help: HelpText;
}

export function textRow(...lines: readonly string[]): Row<never> {
  return { lines, command: null, remove: null };
}

export function problemRow(...lines: readonly string[]): Row<never> {
  return { ...textRow(...lines), isProblem: true };
}

export function headingRow(text: string): Row<never> {
  return { lines: [text], command: null, remove: null, isHeading: true };
}

export function commandRow<C>(command: C, ...lines: readonly string[]): Row<C> {
  return { lines, command, remove: null };
}

export function choiceRow<C>({ label, command }: Choice<C>): Row<C> {
  return { lines: [label], command, remove: null };
}

/** Returns the lines of a menu: each label with its detail beside it. */
export function menuRows<C>(lines: readonly (Choice<C> & { readonly detail: string })[]): Row<C>[] {
  const texts = columnsOf(
    lines.map(({ label, detail }) => [label, detail]),
    [0],
  );
  return lines.map(({ label, command }, index) => ({ id: label, lines: [texts[index] ?? ''], command, remove: null }));
}

export const EMPTY_ROW: Row<never> = textRow('');

/**
 * Arranges texts in columns two spaces apart. Each column is as wide as its longest cell, and at least as wide as `widthsMin` requires. If
 * a line is wider than `room`, the beginning of its last cell is cut off, because names differ at their ends. Only the last cell of a row
 * may contain characters outside ASCII.
 */
export function columnsOf(table: readonly (readonly string[])[], widthsMin: readonly number[], room = Number.POSITIVE_INFINITY): string[] {
  const widths = widthsMin.map((least, index) => Math.max(least, ...table.map((cells) => cells[index]?.length ?? 0)));
  return table.map((cells) =>
    cells
      .map((cell, index) =>
        index === cells.length - 1
          ? endOf(cell, room - widths.reduce((sum, width) => sum + width + 2, 0))
          : cell.padEnd(widths[index] ?? 0),
      )
      .join('  '),
  );
}

/** Returns the text, or its end after a `~` if the text is wider than `width` columns. */
function endOf(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const kept = graphemesOf(text);
  while (kept.length > 0 && textWidth(kept.join('')) > width - 1) kept.shift();
  return `~${kept.join('')}`;
}

export const ADDRESS_COLUMNS = 15;
