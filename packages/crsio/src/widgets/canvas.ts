// A picture of the terminal, made of cells. The views draw on a canvas, and display.ts sends the rows of the canvas to the terminal. Pure,
// so that a screen can be inspected without a terminal. Control characters in text are escaped (lib/printable.ts). Invariant: every row has
// exactly `columns` columns; longer text is cut, never wrapped.

import { escapeControls } from '@rsio/base/lib/printable';
import { graphemesOf, graphemeWidth } from './text-width.ts';

/** Colour alone never carries information: each style also changes another attribute, or its text has a word or symbol. */
export type Style = 'plain' | 'bold' | 'heading' | 'inverse' | 'selected' | 'underline' | 'ok' | 'warning' | 'problem';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Run {
  readonly style: Style;
  readonly text: string;
}

interface Cell {
  /** A grapheme; '' if this cell is the second column of a wide grapheme. */
  readonly text: string;
  readonly style: Style;
}

const BLANK: Cell = { text: ' ', style: 'plain' };

export class Canvas {
  readonly size: Size;
  readonly #cells: Cell[][];

  constructor(size: Size) {
    this.size = size;
    this.#cells = Array.from({ length: size.rows }, () => Array.from({ length: size.columns }, () => BLANK));
  }

  /** Puts at most `width` columns of text at 0-based `row` and `column`; text outside the canvas is dropped. */
  put(row: number, column: number, text: string, style: Style = 'plain', width: number = this.size.columns): void {
    const cells = this.#cells[row];
    if (cells === undefined) return;
    const end = Math.min(this.size.columns, column + width);
    let at = column;
    for (const grapheme of graphemesOf(escapeControls(text))) {
      const columns = graphemeWidth(grapheme);
      if (at + columns > end) break;
      const before = cells[at - 1];
      if (columns === 0 && before !== undefined) cells[at - 1] = { ...before, text: before.text + grapheme };
      if (columns > 0) blankCut(cells, at, at + columns);
      for (let offset = 0; offset < columns; offset++) cells[at + offset] = { text: offset === 0 ? grapheme : '', style };
      at += columns;
    }
  }

  rows(): readonly (readonly Run[])[] {
    return this.#cells.map((cells) => {
      const runs: { style: Style; text: string }[] = [];
      for (const { text, style } of cells) {
        const last = runs.at(-1);
        if (last?.style === style) last.text += text;
        else runs.push({ style, text });
      }
      return runs;
    });
  }
}

/** Columns `start` to `end - 1` are overwritten. Blanks the remaining half of each wide grapheme that is only partly within them. */
function blankCut(cells: Cell[], start: number, end: number): void {
  let first = start;
  while (first > 0 && cells[first]?.text === '') first -= 1;
  cells.fill(BLANK, first, start);
  let behind = end;
  while (cells[behind]?.text === '') behind += 1;
  cells.fill(BLANK, end, behind);
}
