// What a command that waits needs of its terminal: one line that it rewrites, and the signals that stop the wait. Invariant: the line is
// written only to a terminal that can be drawn on.

export interface WaitingPorts {
  /** Replaces the progress line; the text '' removes it. `progress` is null if stderr is not a terminal. */
  readonly progress: ((line: string) => void) | null;
  /** Makes Ctrl-C, SIGTERM and SIGHUP call `stop`; returns a function that removes these signal handlers. */
  readonly onStop: (stop: () => void) => () => void;
}

const CLEAR_LINE = '\r\x1b[K';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const COLUMNS = 80;

/** Returns a function that rewrites the progress line on a terminal. `columns`: the current width. */
export function terminalProgress(write: (text: string) => void, columns: () => number): (line: string) => void {
  let isShown = false;
  return (line) => {
    if (line !== '') write(`${CLEAR_LINE}${line.slice(0, Math.max(0, columns() - 1))}`);
    else if (isShown) write(CLEAR_LINE);
    isShown = line !== '';
  };
}

export function onStopSignal(stop: () => void): () => void {
  for (const signal of SIGNALS) process.on(signal, stop);
  return () => {
    for (const signal of SIGNALS) process.off(signal, stop);
  };
}

/** Returns the ports of this process. A terminal whose size is unknown reports 0 columns. */
export function processWaiting(): WaitingPorts {
  const { stderr, env } = process;
  const canDraw = stderr.isTTY && env['TERM'] !== 'dumb' && env['TERM'] !== undefined;
  const progress = canDraw
    ? terminalProgress(
        (text) => process.stderr.write(text),
        () => stderr.columns || COLUMNS,
      )
    : null;
  return { progress, onStop: onStopSignal };
}
