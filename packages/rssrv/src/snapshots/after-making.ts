// Waits for another snapshot of a volume, such as the moment of a replication, before a command for a snapshot is refused. Invariant: the
// command waits before its turn in the queue of changes, so that it holds up no other change, and for at most MAKING_WAIT_MS.

import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { sleep } from '@rsio/base/lib/waiting';
import { MAKING_LOOK_MS, MAKING_WAIT_MS } from './limits.ts';

/** Returns the result of `check`. While `check` throws E_BUSY and `isMaking` returns true, tries again. Then throws the last error. */
export async function afterMaking<T>(clock: Clock, isMaking: () => boolean, check: () => T): Promise<T> {
  const untilMs = clock.monotonicMs() + MAKING_WAIT_MS;
  for (;;) {
    try {
      return check();
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_BUSY' || !isMaking() || clock.monotonicMs() >= untilMs) throw thrown;
    }
    await sleep(clock, MAKING_LOOK_MS);
  }
}
