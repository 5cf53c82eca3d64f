// Computes from the garbage collections of one process how much heap the process allocated between two moments, and how long the
// collections paused it. Pure. Buffers are outside the heap; only memory that V8 has to scan counts.

import { type Spread, spreadOf } from '../summary.ts';

/**
 * The heap of one process, as gc-probe.ts writes it: its size at the beginning and at the end, and the collections in between, in their
 * order.
 */
export interface HeapHistory {
  readonly beginUsedBytes: number;
  readonly endUsedBytes: number;
  readonly collections: readonly { readonly beforeBytes: number; readonly afterBytes: number; readonly pauseUs: number }[];
}

/** Returns the allocated bytes: the growth of the heap before the first collection, between collections, and after the last one. */
export function allocatedBytes({ beginUsedBytes, endUsedBytes, collections }: HeapHistory): number {
  let used = beginUsedBytes;
  let sum = 0;
  for (const { beforeBytes, afterBytes } of collections) {
    sum += beforeBytes - used;
    used = afterBytes;
  }
  return sum + endUsedBytes - used;
}

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
