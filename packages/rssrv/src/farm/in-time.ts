// Waits for a step of a shared pool that may hang. The caller keeps track of the step. Invariant: a wait that gives up does not end the
// step.

import type { Clock } from '@rsio/common/lib/clock';

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
