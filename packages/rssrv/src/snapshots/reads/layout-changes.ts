// Merges the changed ranges of the files of one volume into the changed ranges of the volume. Pure. Invariants: the result has no gaps, and
// ends where the pairs of one of the files end. A byte of the volume counts as changed if it has changed in its file.

import type { LayoutMap } from '../../storage/files/layout-map.ts';
import { addPair, CHANGED, type ChangedPairs, UNCHANGED } from './changed-ranges.ts';
import { STRIPE_CHUNKS_PER_ANSWER_MAX } from '../limits.ts';

/**
 * Returns the end of the range that one answer may cover. An answer for a stripe is bounded, because a stripe is merged chunk by
 * chunk.
 */
export function answeredEnd({ chunkBytes }: Pick<LayoutMap, 'chunkBytes'>, fromBytes: number, toBytes: number): number {
  return chunkBytes === null ? toBytes : Math.min(toBytes, fromBytes + STRIPE_CHUNKS_PER_ANSWER_MAX * chunkBytes);
}

/** `found`: pairs of each file, from the start of the range in the file. A file outside the range has no pairs. */
export function mergedChanges(map: LayoutMap, fromBytes: number, toBytes: number, found: readonly ChangedPairs[]): ChangedPairs {
  const lists = found.map((pairs) => new PairReader(pairs));
  const merged: ChangedPairs = [];
  for (let position = fromBytes; position < toBytes; ) {
    map.seek(position);
    const list = lists[map.part];
    const runEnd = Math.min(position + map.runBytes, toBytes);
    while (position < runEnd) {
      const taken = list?.take(runEnd - position) ?? 0;
      if (taken === 0) return merged;
      addPair(merged, taken, list?.isChanged === false ? UNCHANGED : CHANGED);
      position += taken;
    }
  }
  return merged;
}

class PairReader {
  isChanged = false;
  private readonly pairs: ChangedPairs;
  private next = 0;
  private leftBytes = 0;

  constructor(pairs: ChangedPairs) {
    this.pairs = pairs;
  }

  /** Takes at most `bytes` bytes that have the same state. Returns the number of bytes taken; 0 at the end of the list. */
  take(bytes: number): number {
    while (this.leftBytes === 0) {
      if (this.next >= this.pairs.length) return 0;
      this.leftBytes = this.pairs[this.next] ?? 0;
      this.isChanged = this.pairs[this.next + 1] === CHANGED;
      this.next += 2;
    }
    const taken = Math.min(bytes, this.leftBytes);
    this.leftBytes -= taken;
    return taken;
  }
}
