// Waits for a step of a shared pool that may hang or fail. The caller keeps track of the step. Invariant: a wait that gives up does not end
// the step.

import type { Clock } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';

/** Resolves with true when the step has settled, and with false after `limitMs`. */
export function settlesIn(clock: Clock, limitMs: number, step: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(limitMs, () => resolve(false));
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    step.then(settled, settled);
  });
}

/**
 * Runs `work` until it succeeds, or `isOver` returns true. After each failed attempt, `failed` gets the reason, and waits before the next
 * attempt.
 */
export async function untilDone(work: () => Promise<void>, isOver: () => boolean, failed: (why: string) => Promise<void>): Promise<void> {
  while (!isOver()) {
    const why = await work().then(
      () => null,
      (thrown: unknown) => toRsError(thrown).message,
    );
    if (why === null) return;
    await failed(why);
  }
}
