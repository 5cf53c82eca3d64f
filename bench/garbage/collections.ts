// Computes the figures of the bench from the heap histories of processes. Pure.

import { allocatedBytes, type HeapHistory } from '@rsio/test/support/heap/heap-history';
import { type Spread, spreadOf } from '../summary.ts';

/** Returns a quantile of the pauses, in ms: `perMille` of 1000 pauses are not longer than the result. Returns 0 if there are no pauses. */
export function pauseMs(histories: readonly HeapHistory[], perMille: number): number {
  const pauses = histories.flatMap(({ collections }) => collections.map(({ pauseUs }) => pauseUs)).toSorted((a, b) => a - b);
  const at = Math.ceil((pauses.length * perMille) / 1000) - 1;
  return (pauses[Math.max(0, at)] ?? 0) / 1000;
}

/** `requests`: the number of requests during each history. */
export function bytesPerRequest(histories: readonly HeapHistory[], requests: readonly number[]): Spread {
  return spreadOf(histories.map((history, index) => allocatedBytes(history) / (requests[index] ?? 1)));
}
