// Writes the output of `watch`: on a terminal, each picture replaces the previous one; on a pipe, lines are appended. This file also gives
// `watch` the terminal's size and character set. Invariant: however `watch` ends, the
// terminal leaves the alternate screen.

import { onStopSignal } from '@rsio/common/cli/waiting-ports';
import { escapeControls } from '@rsio/base/lib/printable';
import { pipeHeading, pipeLines, type PlotHistory, type PlotLetters, terminalPicture } from './watch-picture.ts';
import type { WatchSample } from './watch-sample.ts';

export interface WatchScreen {
  show(sample: WatchSample, history: PlotHistory): void;
  /** Ends the output; a second call has no effect. */
  close(): void;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

type Write = (text: string) => void;

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const TOP = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

export function terminalScreen(write: Write, size: () => TerminalSize, letters: PlotLetters): WatchScreen {
  let isOpen = false;
  return {
    show: (sample, history) => {
      const lines = terminalPicture(sample, history, { ...size(), letters });
      const text = lines.map((line) => `${line}${CLEAR_LINE}\r\n`).join('');
      write(`${isOpen ? '' : ENTER}${TOP}${text}${CLEAR_BELOW}`);
      isOpen = true;
    },
    close: () => {
      if (isOpen) write(LEAVE);
      isOpen = false;
    },
  };
}

export function pipeScreen(write: Write, letters: PlotLetters): WatchScreen {
  let isBegun = false;
  return {
    show: (sample, history) => {
      const lines = [...(isBegun ? [] : [escapeControls(pipeHeading(sample))]), ...pipeLines(sample, history, letters)];
      write(lines.map((line) => `${line}\n`).join(''));
      isBegun = true;
    },
    close: () => undefined,
  };
}

/** Writes each sample as a line of JSON. */
export function jsonScreen(write: Write): WatchScreen {
  return { show: (sample) => write(`${JSON.stringify(sample)}\n`), close: () => undefined };
}

export interface WatchPorts {
  /** Returns the size of the terminal. `terminal` is null if stdout is not a terminal that can be drawn on. */
  readonly terminal: (() => TerminalSize) | null;
  readonly isUnicode: boolean;
  readonly onStop: (stop: () => void) => () => void;
}

const COLUMNS = 80;
const ROWS = 24;

export function processWatchPorts(): WatchPorts {
  const { stdout, env } = process;
  const canDraw = stdout.isTTY && env['TERM'] !== 'dumb' && env['TERM'] !== undefined;
  return {
    // A terminal whose size is unknown reports 0 columns and 0 rows.
    terminal: canDraw ? () => ({ columns: stdout.columns || COLUMNS, rows: stdout.rows || ROWS }) : null,
    isUnicode: isUnicodeLocale(env),
    onStop: onStopSignal,
  };
}

/** The locale is, as in the C library, the first of LC_ALL, LC_CTYPE and LANG that is not empty. */
export function isUnicodeLocale(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '');
  return /utf-?8/i.test(locale ?? '');
}
