// Which changes of a volume must wait for each other because one of them reads, changes and writes blocks that it shares with others. Pure.
// Plain changes pass each other (their order is the trunk's affair); an exclusive one waits for all before it that overlap it, and all behind it
// wait for it. Invariants: nothing overtakes what it overlaps and what waits; who entered leaves once. As long as nothing is exclusive a change
// costs a link in a list.

/** A change that is out, or waits to be. Objects are used again. */
export class RangeEntry {
  beginBytes = 0;
  endBytes = 0;
  isExclusive = false;
  isWaiting = false;
  before: RangeEntry | null = null;
  behind: RangeEntry | null = null;
}

export class RangeLock {
  private first: RangeEntry | null = null;
  private last: RangeEntry | null = null;
  private exclusives = 0;
  private waiting = 0;

  /** True: it may go now; false: `leave` of another will say when. */
  enter(entry: RangeEntry): boolean {
    entry.before = this.last;
    entry.behind = null;
    if (this.last === null) this.first = entry;
    else this.last.behind = entry;
    this.last = entry;
    if (entry.isExclusive) this.exclusives++;
    entry.isWaiting = this.exclusives > 0 && this.isBlocked(entry);
    if (entry.isWaiting) this.waiting++;
    return !entry.isWaiting;
  }

  /** Returns those that may go now, oldest first. */
  leave(entry: RangeEntry): readonly RangeEntry[] {
    const from = entry.behind;
    this.unlink(entry);
    if (this.waiting === 0) return NOBODY;
    const free: RangeEntry[] = [];
    for (let other = from; other !== null; other = other.behind) {
      if (!other.isWaiting || this.isBlocked(other)) continue;
      other.isWaiting = false;
      this.waiting--;
      free.push(other);
    }
    return free;
  }

  /** Takes out all that wait, oldest first. */
  takeWaiting(): readonly RangeEntry[] {
    const taken: RangeEntry[] = [];
    for (let entry = this.first; entry !== null && this.waiting > taken.length; entry = entry.behind)
      if (entry.isWaiting) taken.push(entry);
    for (const entry of taken) this.unlink(entry);
    return taken;
  }

  private unlink(entry: RangeEntry): void {
    if (entry.before === null) this.first = entry.behind;
    else entry.before.behind = entry.behind;
    if (entry.behind === null) this.last = entry.before;
    else entry.behind.before = entry.before;
    entry.before = null;
    entry.behind = null;
    if (entry.isExclusive) this.exclusives--;
    if (entry.isWaiting) this.waiting--;
    entry.isWaiting = false;
  }

  private isBlocked(entry: RangeEntry): boolean {
    for (let other = entry.before; other !== null; other = other.before) {
      const meets = other.beginBytes < entry.endBytes && entry.beginBytes < other.endBytes;
      if (meets && (entry.isExclusive || other.isExclusive || other.isWaiting)) return true;
    }
    return false;
  }
}

const NOBODY: readonly RangeEntry[] = [];
