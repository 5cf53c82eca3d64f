// Where `watch` shows its pictures: on a terminal each in the place of the last, on a pipe line after line.
// Invariant: a terminal is given back as it was found, however the watching ends: the pictures are on its other screen.

import { escapeControls } from '@rsio/common/lib/printable';
import { type PlotHistory, type PlotLetters, pipeHeading, pipeLines, terminalPicture } from './watch-picture.ts';
import type { WatchSample } from './watch-sample.ts';

export interface WatchScreen {
  show(sample: WatchSample, history: PlotHistory): void;
  /** May be called twice. */
  close(): void;
}

/** Size of the terminal now, in letters. */
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

/** One line of JSON for each second. */
export function jsonScreen(write: Write): WatchScreen {
  return { show: (sample) => write(`${JSON.stringify(sample)}\n`), close: () => undefined };
}
