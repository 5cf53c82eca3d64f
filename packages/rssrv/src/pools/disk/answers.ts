// Waiting for work on a file system that may hang, or be slow.
// Invariant: nothing ends the work, so that the caller must remember it until it has ended.

import type { Clock, Timer } from '@rsio/common/lib/clock';

/**
 * Returns true if the work settles before it has been silent for this time. The work calls `heard` when it has made progress.
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
