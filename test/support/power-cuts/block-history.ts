// Knows the possible contents of blocks, because the history keeps each write of a block with the moments of its beginning and its answer.
// For a copy, the history finds out whether all blocks could have had their contents at the same moment (rule P1). Pure. Invariants: a
// block has one write in flight; moments are numbers of a clock that advances at each event, so that no two events have the same moment.

/** Content of a block that was never written, or that was discarded last. */
export const ZERO = 0;

interface Write {
  /** Content after the write; ZERO for a discard. */
  readonly stamp: number;
  readonly begin: number;
  /** Moment of the answer; infinity: the write has no answer. */
  end: number;
}

/** An interval between two moments in which a block could have had a given content. */
type Interval = readonly [from: number, to: number];

export class BlockHistory {
  private readonly writes: Write[] = [{ stamp: ZERO, begin: -1, end: -1 }];
  /** Number of the last write that a flush has made durable. */
  private flushed = 0;

  begin(stamp: number, now: number): void {
    this.writes.push({ stamp, begin: now, end: Infinity });
  }

  answered(now: number): void {
    this.last.end = now;
  }

  /** Must be called before a flush is sent; the caller calls the returned function when the flush is answered. */
  flush(): () => void {
    const number = this.last.end === Infinity ? this.writes.length - 2 : this.writes.length - 1;
    const write = this.writes[number]!;
    return () => {
      this.flushed = Math.max(this.flushed, this.writes.indexOf(write));
    };
  }

  /** The content of the block by its last write. The content is certain only if all writes of the block are answered. */
  get content(): number {
    return this.last.stamp;
  }

  /** Whether the content may exist after a power cut: it is the last flushed content or a later one. */
  mayBeAfterCut(stamp: number): boolean {
    return this.writes.slice(this.flushed).some((write) => write.stamp === stamp);
  }

  /** Intervals in which the block could have had this content, the earliest first. */
  momentsOf(stamp: number): Interval[] {
    const found: [number, number][] = [];
    for (const [number, write] of this.writes.entries()) {
      if (write.stamp !== stamp) continue;
      const to = this.writes[number + 1]?.end ?? Infinity;
      const before = found.at(-1);
      if (before !== undefined && before[1] >= write.begin) before[1] = to;
      else found.push([write.begin, to]);
    }
    return found;
  }

  /** Forgets the history. Must be called only when all writes are answered and flushed, and the content was found correct. */
  forget(): void {
    this.writes.splice(0, this.writes.length - 1);
    this.flushed = 0;
  }

  get text(): string {
    const shown = this.writes.slice(-6).map(({ stamp, begin, end }) => `${stamp} (${begin} to ${end})`);
    return `its last writes are ${shown.join(', ')}, flushed up to ${this.writes[this.flushed]?.stamp}`;
  }

  private get last(): Write {
    return this.writes.at(-1)!;
  }
}

/**
 * Returns a moment from `from` to `to` at which all blocks could have had these contents; null if there is no such moment. `blocks`: for
 * each block, the intervals in which it could have had its content.
 */
export function commonMoment(blocks: readonly (readonly Interval[])[], from: number, to: number): number | null {
  const edges: [moment: number, change: 1 | -1][] = [];
  for (const [begin, end] of blocks.flat()) {
    if (begin > to || end < from) continue;
    edges.push([Math.max(begin, from), 1], [Math.min(end, to), -1]);
  }
  // If an interval begins at the moment at which another interval ends, the beginning counts as earlier, so that the intervals overlap.
  edges.sort(([a, change], [b, other]) => a - b || other - change);
  let count = 0;
  for (const [moment, change] of edges) {
    count += change;
    if (count === blocks.length) return moment;
  }
  return blocks.length === 0 ? from : null;
}
