// Keeps the ranges that no replica in sync can read, and decides how long the copier waits before it reads such a range again. Invariants:
// the wait grows only while nothing else is copied, so that one bad block does not delay other regions. A range stays in the list until it
// was copied.

import { COPY_RETRY_MAX_MS, COPY_RETRY_MS, UNREADABLE_MAX } from '../limits.ts';
import type { PieceRange } from './region-pieces.ts';

interface Range {
  beginBytes: number;
  endBytes: number;
  failures: number;
}

export class Unreadable {
  /** Maps a region to the unreadable range in the region. */
  private readonly ranges = new Map<number, Range>();
  private hasCopied = false;

  /** The range that failed first; null if there is none. */
  get first(): { readonly beginBytes: number; readonly endBytes: number } | null {
    for (const range of this.ranges.values()) return range;
    return null;
  }

  has(region: number): boolean {
    return this.ranges.has(region);
  }

  /** Notes that no replica in sync could read this range. Returns the time in ms until the next attempt. */
  failed({ region, beginBytes, endBytes }: PieceRange): number {
    const before = this.ranges.get(region)?.failures ?? 0;
    if (before > 0 || this.ranges.size < UNREADABLE_MAX) this.ranges.set(region, { beginBytes, endBytes, failures: before + 1 });
    const isAlone = !this.hasCopied;
    this.hasCopied = false;
    return isAlone ? Math.min(COPY_RETRY_MS * 2 ** before, COPY_RETRY_MAX_MS) : COPY_RETRY_MS;
  }

  copied({ region, beginBytes, endBytes }: PieceRange): void {
    const range = this.ranges.get(region);
    if (range === undefined) this.hasCopied = true;
    else if (beginBytes <= range.beginBytes && endBytes > range.beginBytes) {
      range.beginBytes = endBytes;
      if (range.beginBytes >= range.endBytes) this.ranges.delete(region);
    }
  }
}
