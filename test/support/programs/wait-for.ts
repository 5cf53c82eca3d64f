// Waits for an effect of other processes: checks a condition repeatedly until a deadline. Callers give deadlines for an idle machine.
// `waitFor` multiplies each deadline by PATIENCE. Long deadlines cost no time, because only a failure reaches them. Invariant: `waitFor`
// settles within the multiplied deadline, and a failure names what was awaited and the last error.

import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 20;
/** A slow and busy machine may take this many times as long as an idle one. */
const PATIENCE = 4;

/**
 * Resolves with the first result of `condition` that is neither false, null nor undefined. Rejects after PATIENCE times `deadlineMs`, with
 * `what` and the last error of `condition`.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  deadlineMs: number,
  what: string,
): Promise<Exclude<T, false | null | undefined>> {
  const boundMs = PATIENCE * deadlineMs;
  const endMs = performance.now() + boundMs;
  let failure: unknown;
  for (;;) {
    try {
      const result = await condition();
      if (result !== false && result !== null && result !== undefined) return result as Exclude<T, false | null | undefined>;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > endMs) throw new Error(`${what}: not so within ${boundMs} ms`, { cause: failure });
    await sleep(LOOK_AGAIN_MS);
  }
}
