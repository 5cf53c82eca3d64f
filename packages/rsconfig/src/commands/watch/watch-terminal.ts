// What `watch` and --wait need of the process they run in: whether stdout or stderr is a terminal and how large, which letters it can show,
// and the signals with which a person ends them. Invariant: after `off` the process has the signal handlers it had before.

import type { TerminalSize } from './watch-screen.ts';

export interface WatchSurroundings {
  /** null: stdout is no terminal that can be drawn on. */
  readonly terminal: (() => TerminalSize) | null;
  readonly isUnicode: boolean;
  /** Calls `stop` when the person wants to end (Ctrl-C, SIGTERM, SIGHUP); gives what takes that back. */
  readonly onStop: (stop: () => void) => () => void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const COLUMNS = 80;
const ROWS = 24;

export function processSurroundings(): WatchSurroundings {
  const { stdout, env } = process;
  const canDraw = stdout.isTTY && env['TERM'] !== 'dumb' && env['TERM'] !== undefined;
  return {
    // A terminal that does not know its size says 0.
    terminal: canDraw ? () => ({ columns: stdout.columns || COLUMNS, rows: stdout.rows || ROWS }) : null,
    isUnicode: speaksUnicode(env),
    onStop: (stop) => {
      for (const signal of SIGNALS) process.on(signal, stop);
      return () => {
        for (const signal of SIGNALS) process.off(signal, stop);
      };
    },
  };
}

/** Of the terminal that stderr is; null: it is none that can be drawn on. */
export function stderrColumns(): (() => number) | null {
  const { stderr, env } = process;
  const canDraw = stderr.isTTY && env['TERM'] !== 'dumb' && env['TERM'] !== undefined;
  return canDraw ? () => stderr.columns || COLUMNS : null;
}

/** As the C library decides: the first of these that is set and not empty names the letters. */
export function speaksUnicode(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '');
  return /utf-?8/i.test(locale ?? '');
}
