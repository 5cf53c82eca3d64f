// From the garbage collections of one process: how much heap it allocated between two moments, and how long it paused. Pure.
// Buffers are outside the heap; only memory that V8 has to scan counts.

import { type Spread, spreadOf } from '../summary.ts';

/** As the process wrote it (gc-probe.ts): the heap at both ends, and each collection between them in turn. */
export interface HeapHistory {
  readonly beginUsedBytes: number;
  readonly endUsedBytes: number;
  readonly collections: readonly { readonly beforeBytes: number; readonly afterBytes: number; readonly pauseUs: number }[];
}

/** Growth of the heap between collections, before the first and after the last. */
export function allocatedBytes({ beginUsedBytes, endUsedBytes, collections }: HeapHistory): number {
  let used = beginUsedBytes;
  let sum = 0;
  for (const { beforeBytes, afterBytes } of collections) {
    sum += beforeBytes - used;
    used = afterBytes;
  }
  return sum + endUsedBytes - used;
}

/** The pause, ms, that `perMille` of a thousand pauses do not exceed; 0 without pauses. */
export function pauseMs(histories: readonly HeapHistory[], perMille: number): number {
  const pauses = histories.flatMap(({ collections }) => collections.map(({ pauseUs }) => pauseUs)).toSorted((a, b) => a - b);
  const at = Math.ceil((pauses.length * perMille) / 1000) - 1;
  return (pauses[Math.max(0, at)] ?? 0) / 1000;
}

/** `requests`: the number for each history. */
export function bytesPerRequest(histories: readonly HeapHistory[], requests: readonly number[]): Spread {
  return spreadOf(histories.map((history, index) => allocatedBytes(history) / (requests[index] ?? 1)));
}
