// --wait: looks again and again until there is nothing more to wait for, with a line about it on a terminal. What is looked at is the
// command's. Invariants: it ends within its time, whatever a look takes; ending it early (Ctrl-C) undoes nothing; whatever is printed next
// begins on a line of its own.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { escapeControls } from '@rsio/common/lib/printable';
import { plural } from '@rsio/common/lib/units';
import { WAIT_POLL_MS } from './limits.ts';

/** What of the process waiting needs. */
export interface WaitingPorts {
  /** A line that takes the place of the last; '' takes it away. null: nobody would see it. */
  readonly progress: ((line: string) => void) | null;
  /** Calls `stop` when the person wants to end (Ctrl-C, SIGTERM, SIGHUP); gives what takes that back. */
  readonly onStop: (stop: () => void) => () => void;
}

export interface Look<T> {
  readonly value: T;
  /** Empty: done. */
  readonly waitsFor: readonly string[];
}

export interface Waited<T> {
  readonly how: 'done' | 'late' | 'stopped';
  /** The last look; null: not one came to an end. */
  readonly last: Look<T> | null;
}

/** Throws what `look` throws. */
export async function waitUntil<T>(
  { clock, waiting }: { readonly clock: Clock; readonly waiting: WaitingPorts },
  limitMs: number,
  look: () => Promise<Look<T>>,
): Promise<Waited<T>> {
  const startMs = clock.monotonicMs();
  let timer: Timer | undefined;
  let off = (): void => undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = clock.after(limitMs, () => resolve('late'));
  });
  const stopped = new Promise<'stopped'>((resolve) => {
    off = waiting.onStop(() => resolve('stopped'));
  });
  let last: Look<T> | null = null;
  try {
    for (;;) {
      const looking = look();
      const found = await Promise.race([looking, late, stopped]);
      if (typeof found === 'string') {
        // Nobody is there for it any more.
        looking.catch(() => undefined);
        return { how: found, last };
      }
      last = found;
      if (found.waitsFor.length === 0) return { how: 'done', last };
      waiting.progress?.(progressLine(clock.monotonicMs() - startMs, found.waitsFor));
      let pause: Timer | undefined;
      const again = new Promise<null>((resolve) => {
        pause = clock.after(WAIT_POLL_MS, () => resolve(null));
      });
      const ended = await Promise.race([again, late, stopped]);
      pause?.cancel();
      if (ended !== null) return { how: ended, last };
    }
  } finally {
    timer?.cancel();
    off();
    waiting.progress?.('');
  }
}

function progressLine(elapsedMs: number, [first = '', ...others]: readonly string[]): string {
  const more = others.length === 0 ? '' : ` (and ${plural(others.length, 'more thing')} to wait for)`;
  return escapeControls(`waiting ${Math.floor(elapsedMs / 1_000)} s: ${first}${more}`);
}

/** For stderr, after waiting that was not done. `kept`: what ending it left as it is. */
export function waitedSentence(how: 'late' | 'stopped', limitMs: number, kept: string): string {
  return how === 'late'
    ? `Timed out after ${limitMs / 1_000} s: ${kept}; --wait=T waits longer, rsconfig -m status -v shows what is missing`
    : `Interrupted: ${kept}`;
}

const CLEAR_LINE = '\r\x1b[K';

/** One line of a terminal, written again and again. `columns`: of the terminal now. */
export function terminalProgress(write: (text: string) => void, columns: () => number): (line: string) => void {
  let isShown = false;
  return (line) => {
    if (line !== '') write(`${CLEAR_LINE}${line.slice(0, Math.max(0, columns() - 1))}`);
    else if (isShown) write(CLEAR_LINE);
    isShown = line !== '';
  };
}
