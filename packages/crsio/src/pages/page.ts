// A list screen as a value: what it says line by line, what can be chosen, what F7 offers and what F1 tells. Pages are made of the state
// and of nothing else; page-view.ts draws them.

import { graphemesOf, textWidth } from '../widgets/text-width.ts';
import type { Command } from '../model/command.ts';
import type { Choice } from '../model/state.ts';

export interface Row {
  readonly lines: readonly string[];
  /** What Enter does; null: the row is only to be read. */
  readonly command: Command | null;
  /** What F8 and Delete do. */
  readonly remove: Command | null;
  readonly isHeading?: boolean;
  /** Something is wrong with what it tells; it says so in words, too. */
  readonly isProblem?: boolean;
}

export interface HelpText {
  readonly title: string;
  readonly text: string;
}

export interface Page {
  readonly title: string;
  readonly rows: readonly Row[];
  /** What F7 offers. */
  readonly actions: readonly Choice[];
  /** What to do next, in the line below. */
  readonly hint: string;
  readonly help: HelpText;
}

export function textRow(...lines: readonly string[]): Row {
  return { lines, command: null, remove: null };
}

/** Of something that is wrong. */
export function problemRow(...lines: readonly string[]): Row {
  return { ...textRow(...lines), isProblem: true };
}

export function headingRow(text: string): Row {
  return { lines: [text], command: null, remove: null, isHeading: true };
}

export function commandRow(command: Command, ...lines: readonly string[]): Row {
  return { lines, command, remove: null };
}

export const EMPTY_ROW: Row = textRow('');

/**
 * Texts in columns two spaces apart, each as wide as its longest cell and at least as said; the last one is as long as it is, or loses its
 * beginning where `room` columns are not enough: what names differ by stands at their ends.
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

/** The text with so many columns as there are; what is cut off shows as ~ at its beginning. */
function endOf(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const kept = graphemesOf(text);
  while (kept.length > 0 && textWidth(kept.join('')) > width - 1) kept.shift();
  return `~${kept.join('')}`;
}

/** Columns of an IPv4 address. */
export const ADDRESS_COLUMNS = 15;
