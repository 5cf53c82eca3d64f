// Decides which changes to a volume must wait for each other because one of them reads, changes and writes blocks that it shares with
// others. Pure. Plain changes may overtake each other (the trunk keeps their order). An exclusive change waits for all earlier ones that
// overlap it, and later overlapping ones wait for it. Invariants: no change overtakes a waiting one that it overlaps; each entry that
// enters leaves exactly once. While no change is exclusive, a change costs one link in a list; otherwise the list is walked when the change
// enters, proceeds and leaves.

/** A change that is in flight or waiting. Objects are re-used. */
export class RangeEntry {
  beginBytes = 0;
  endBytes = 0;
  isExclusive = false;
  isWaiting = false;
  /** Number of earlier entries that must leave (or proceed, if neither is exclusive) before this one may proceed. */
  blockers = 0;
  before: RangeEntry | null = null;
  behind: RangeEntry | null = null;
}

export class RangeLock {
  private first: RangeEntry | null = null;
  private last: RangeEntry | null = null;
  private exclusives = 0;
  private waiting = 0;

  /** Returns true if the entry may proceed now. Otherwise a later `leave` of another entry returns this one. */
  enter(entry: RangeEntry): boolean {
    entry.before = this.last;
    entry.behind = null;
    if (this.last === null) this.first = entry;
    else this.last.behind = entry;
    this.last = entry;
    if (entry.isExclusive) this.exclusives++;
    entry.blockers = this.exclusives > 0 ? blockersOf(entry) : 0;
    entry.isWaiting = entry.blockers > 0;
    if (entry.isWaiting) this.waiting++;
    return !entry.isWaiting;
  }

  /** Returns the entries that may proceed now. If two of them overlap, the older one comes first. */
  leave(entry: RangeEntry): readonly RangeEntry[] {
    const from = entry.behind;
    this.unlink(entry);
    if (this.waiting === 0) return NOBODY;
    const free: RangeEntry[] = [];
    this.unblock(entry, from, entry.isExclusive ? 'all' : 'exclusive', free);
    // An entry that proceeds no longer blocks entries that are not exclusive. Those are appended to `free` during this loop.
    for (const gone of free) if (!gone.isExclusive) this.unblock(gone, gone.behind, 'plain', free);
    return free;
  }

  /** Removes and returns all waiting entries, oldest first. */
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

  /** Starting at `from`, decrements `blockers` of each entry of this kind that overlaps `entry`. */
  private unblock(entry: RangeEntry, from: RangeEntry | null, kind: 'all' | 'exclusive' | 'plain', free: RangeEntry[]): void {
    for (let other = from; other !== null; other = other.behind) {
      if (!other.isWaiting || !overlaps(entry, other)) continue;
      if (kind !== 'all' && other.isExclusive !== (kind === 'exclusive')) continue;
      if (--other.blockers > 0) continue;
      other.isWaiting = false;
      this.waiting--;
      free.push(other);
    }
  }
}

function overlaps(one: RangeEntry, other: RangeEntry): boolean {
  return other.beginBytes < one.endBytes && one.beginBytes < other.endBytes;
}

/** Counts the earlier entries that block `entry`. */
function blockersOf(entry: RangeEntry): number {
  let blockers = 0;
  for (let other = entry.before; other !== null; other = other.before)
    if (overlaps(entry, other) && (entry.isExclusive || other.isExclusive || other.isWaiting)) blockers++;
  return blockers;
}

const NOBODY: readonly RangeEntry[] = [];
