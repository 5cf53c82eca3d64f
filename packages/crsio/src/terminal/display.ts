// The terminal, driven by blessed: draws canvases, delivers keys and the size, and restores the terminal. Invariant: close() may be called
// at any time and more than once, and always restores the terminal.

import blessed from 'blessed';
import type { Input } from '../widgets/keys.ts';
import { type KeyEvent, TerminalInput } from './terminal-input.ts';
import type { Charset } from '../widgets/border.ts';
import type { Run, Size, Style } from '../widgets/canvas.ts';
import type { Drawn } from '../machine/draw.ts';

export interface DisplayStyle {
  readonly charset: Charset;
  readonly isColoured: boolean;
}

export interface DisplayEvents {
  input(input: Input): void;
  resized(size: Size): void;
}

/** SGR codes of each style; all styles are visible on black and on white. */
const SGR: Readonly<Record<Style, string>> = {
  plain: '',
  bold: '1',
  heading: '36',
  inverse: '7',
  selected: '1;37;44',
  underline: '4',
  ok: '32',
  warning: '30;43',
  problem: '1;31',
};
/**
 * The SGR codes of each style without colours. Without colours, a sign in the text distinguishes the styles `ok`, `warning` and `problem`.
 */
const SGR_WITHOUT_COLOUR = { ...SGR, heading: '1', selected: '7', ok: '', warning: '1', problem: '1' };
const PASTE_ON = '\x1b[?2004h';
const PASTE_OFF = '\x1b[?2004l';

export class Display {
  readonly #screen: blessed.Widgets.Screen;
  readonly #box: blessed.Widgets.BoxElement;
  readonly #onKey: (character: string | undefined, event: KeyEvent | undefined) => void;
  readonly #sgr: Readonly<Record<Style, string>>;
  #isOpen = true;

  /** Starts to draw on the terminal of this process and to read its keys. `terminal` is the value of TERM. */
  constructor(terminal: string, { charset, isColoured }: DisplayStyle, events: DisplayEvents) {
    this.#sgr = isColoured ? SGR : SGR_WITHOUT_COLOUR;
    // In UTF-8 locales, line characters are sent as UTF-8, because some terminals show the alternate character set as letters.
    if (charset === 'unicode') process.env['NCURSES_NO_UTF8_ACS'] = '1';
    this.#screen = blessed.screen({
      terminal: terminalFor(terminal),
      fullUnicode: charset === 'unicode',
      forceUnicode: charset === 'unicode',
      smartCSR: false,
      title: 'crsio',
    });
    this.#box = blessed.box({ parent: this.#screen, top: 0, left: 0, width: '100%', height: '100%', tags: false, wrap: false });
    const input = new TerminalInput();
    this.#onKey = (character, event) => {
      for (const taken of input.take(character, event)) events.input(taken);
    };
    // blessed's own keypress event drops escape sequences that have no name, such as the marks around a paste.
    this.#screen.program.input.on('keypress', this.#onKey);
    this.#screen.on('keypress', () => {});
    this.#screen.on('resize', () => events.resized(this.size));
    this.#screen.program.write(PASTE_ON);
  }

  get size(): Size {
    return { columns: Number(this.#screen.width), rows: Number(this.#screen.height) };
  }

  draw({ canvas, cursor }: Drawn): void {
    if (!this.#isOpen) return;
    const rows = canvas.rows().map((runs) => lineOf(runs, this.#sgr));
    this.#box.setContent(rows.join('\n'));
    const { program } = this.#screen;
    if (cursor === null) program.hideCursor();
    this.#screen.render();
    if (cursor !== null) {
      program.cup(cursor.row, cursor.column);
      program.showCursor();
    }
    program.flush();
  }

  /** Restores the terminal. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#screen.program.input.off('keypress', this.#onKey);
    this.#screen.program.write(PASTE_OFF);
    this.#screen.destroy();
  }
}

// The terminfo entries of screen and tmux lack keys that blessed needs, but both terminals understand the keys of xterm.
function terminalFor(terminal: string): string {
  return /^(screen|tmux)/.test(terminal) ? 'xterm-256color' : terminal;
}

function lineOf(runs: readonly Run[], sgr: Readonly<Record<Style, string>>): string {
  return runs.map(({ style, text }) => (sgr[style] === '' ? text : `\x1b[${sgr[style]}m${text}\x1b[m`)).join('');
}
