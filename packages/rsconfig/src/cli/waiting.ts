// Implements --wait: polls until nothing is left to wait for, and shows a progress line on a terminal. Invariants: the wait ends at its
// time limit, however long a poll takes; stopping the wait early with Ctrl-C undoes nothing; the progress line is removed before anything
// else is printed.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { escapeControls } from '@rsio/base/lib/printable';
import { plural } from '@rsio/base/lib/units';
import type { WaitingPorts } from '@rsio/common/cli/waiting-ports';
import { WAIT_POLL_MS } from '../limits.ts';

export interface Poll<T> {
  readonly value: T;
  /** One message for each thing that the command still waits for; an empty list ends the wait. */
  readonly waitsFor: readonly string[];
}

export interface WaitResult<T> {
  readonly how: 'done' | 'late' | 'stopped';
  /** The result of the last completed poll; null if no poll was completed. */
  readonly last: Poll<T> | null;
}

/** Polls until `waitsFor` is empty, the time limit is reached, or the user interrupts the wait. Throws what `poll` throws. */
export async function waitUntil<T>(
  { clock, waiting }: { readonly clock: Clock; readonly waiting: WaitingPorts },
  limitMs: number,
  poll: () => Promise<Poll<T>>,
): Promise<WaitResult<T>> {
  const startMs = clock.monotonicMs();
  let timer: Timer | undefined;
  let off = (): void => undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = clock.after(limitMs, () => resolve('late'));
  });
  const stopped = new Promise<'stopped'>((resolve) => {
    off = waiting.onStop(() => resolve('stopped'));
  });
  let last: Poll<T> | null = null;
  try {
    for (;;) {
      const polling = poll();
      const found = await Promise.race([polling, late, stopped]);
      if (typeof found === 'string') {
        // The wait has ended, so an error of a poll still in progress is ignored.
        polling.catch(() => undefined);
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

/**
 * Returns the message for stderr after a wait that has timed out or was interrupted. `kept` is the part of the message that says what
 * continues without the command, such as `rsiod keeps trying`.
 */
export function unfinishedMessage(how: 'late' | 'stopped', limitMs: number, kept: string): string {
  return how === 'late'
    ? `Timed out after ${limitMs / 1_000} s: ${kept}; --wait=T waits longer, rsconfig -m status -v shows what is missing`
    : `Interrupted: ${kept}`;
}
