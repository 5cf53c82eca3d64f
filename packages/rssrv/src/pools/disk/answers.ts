// Waits for work on a file system that may hang or be slow. Invariant: this never ends the work, so that the caller must keep track of work
// that did not settle in time.

import type { Clock, Timer } from '@rsio/common/lib/clock';

/** Returns false once the work has neither settled nor called `heard` for this time, else true. The work calls `heard` at each progress. */
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
