// Waits for work on a file system that may hang or be slow. Invariant: a wait that gives up does not end the work. The caller must
// therefore keep track of work that did not settle in time.

import type { Clock, Timer } from '@rsio/base/lib/clock';

/**
 * Returns true when the work has settled. Returns false if the work has neither settled nor called `heard` for `silentMs`. The work
 * calls `heard` whenever it makes progress.
 */
export function answers(clock: Clock, silentMs: number, work: (heard: () => void) => Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const arm = (): Timer => clock.after(silentMs, () => resolve(false));
    let timer = arm();
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    work(() => {
      timer.cancel();
      timer = arm();
    }).then(settled, settled);
  });
}
