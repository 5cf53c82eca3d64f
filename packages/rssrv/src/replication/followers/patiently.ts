// Repeats a change of roles, or a check, that is refused for a moment, because a snapshot of a volume is being made or copied. Invariant: the work runs in
// turns, so that what it waits for can end between two of them, and the last error is thrown within HAND_OVER_PATIENCE_MS.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { isPassing } from '../../volumes/volume-plan.ts';
import { HAND_OVER_PATIENCE_MS, HAND_OVER_RETRY_MS } from '../limits.ts';

/** Tries the work again while it is refused for a reason that `ends` by itself, for at most HAND_OVER_PATIENCE_MS. */
export async function patiently<T>(
  clock: Clock,
  work: () => Promise<T>,
  ends = (error: RsError): boolean => error.code === 'E_BUSY' || isPassing(error),
): Promise<T> {
  const untilMs = clock.monotonicMs() + HAND_OVER_PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (!ends(toRsError(thrown)) || clock.monotonicMs() >= untilMs) throw thrown;
    }
    await sleep(clock, HAND_OVER_RETRY_MS);
  }
}
