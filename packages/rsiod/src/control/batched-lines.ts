// Lines of the log that are the same for many volumes at once, because a server with a thousand of them went or came: the first few are written
// as they are, the rest is counted in one line. Leaves the words to notifications.ts. Invariant: each is written, or counted within NEW_LIFE_NEWS_MS.

import type { Clock } from '@rsio/common/lib/clock';
import { NEW_LIFE_NAMED_MAX, NEW_LIFE_NEWS_MS } from './limits.ts';

interface Kind {
  /** Those that are written, up to NEW_LIFE_NAMED_MAX, and those that are counted. */
  written: number;
  counted: number;
  readonly writeCounted: (count: number) => void;
}

export class BatchedLines {
  private readonly clock: Clock;
  /** By what their lines have in common; forgotten after NEW_LIFE_NEWS_MS. */
  private readonly kinds = new Map<string, Kind>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `tell` now, or `tellCounted` later, for this one and others of its kind. */
  add(kind: string, tell: () => void, tellCounted: (count: number) => void): void {
    let known = this.kinds.get(kind);
    if (known === undefined) {
      known = { written: 0, counted: 0, writeCounted: tellCounted };
      this.kinds.set(kind, known);
      this.clock.after(NEW_LIFE_NEWS_MS, () => this.end(kind));
    }
    if (known.written < NEW_LIFE_NAMED_MAX) {
      known.written++;
      tell();
    } else known.counted++;
  }

  private end(kind: string): void {
    const known = this.kinds.get(kind);
    this.kinds.delete(kind);
    if (known !== undefined && known.counted > 0) known.writeCounted(known.counted);
  }
}
