// How much heap a process has allocated between two moments, from its garbage collections. Pure. Buffers are outside the heap; only memory that
// the engine has to scan counts.

/**
 * The heap of one process, as gc-probe.ts writes it: its size at the beginning and at the end, and the collections in between, in their
 * order.
 */
export interface HeapHistory {
  readonly beginUsedBytes: number;
  readonly endUsedBytes: number;
  readonly collections: readonly { readonly beforeBytes: number; readonly afterBytes: number; readonly pauseUs: number }[];
}

/** Goals for the heap that a request of 8 KiB allocates, in bytes, at depth 32. */
export const HEAP_GOALS = { server: 200, rsiodReads: 400, rsiodWrites: 400 } as const;

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
