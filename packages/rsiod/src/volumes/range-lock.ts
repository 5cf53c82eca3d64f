// Which changes of a volume must wait for each other because one of them reads, changes and writes blocks that it shares with others. Pure.
// Plain changes pass each other (their order is the trunk's affair); an exclusive one waits for all before it that overlap it, and all behind it
// wait for it. Invariants: nothing overtakes what it overlaps and what waits; who entered leaves once. As long as nothing is exclusive a change
// costs a link in a list; else a look at each of the list when it enters, when it goes and when it leaves, however many wait.

/** A change that is out, or waits to be. Objects are used again. */
export class RangeEntry {
  beginBytes = 0;
  endBytes = 0;
  isExclusive = false;
  isWaiting = false;
  /** Of those before it, as many must leave (or go, if neither is exclusive) before it may go. */
  blockers = 0;
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
    entry.blockers = this.exclusives > 0 ? blockersOf(entry) : 0;
    entry.isWaiting = entry.blockers > 0;
    if (entry.isWaiting) this.waiting++;
    return !entry.isWaiting;
  }

  /** Returns those that may go now: of two that overlap the older one first. */
  leave(entry: RangeEntry): readonly RangeEntry[] {
    const from = entry.behind;
    this.unlink(entry);
    if (this.waiting === 0) return NOBODY;
    const free: RangeEntry[] = [];
    this.unblock(entry, from, entry.isExclusive ? 'all' : 'exclusive', free);
    // Who goes stands no longer in the way of others that are not exclusive: the list grows while it is walked.
    for (const gone of free) if (!gone.isExclusive) this.unblock(gone, gone.behind, 'plain', free);
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

  /** Of those from `from` on and of this kind that overlap `entry` each has one blocker less. */
  private unblock(entry: RangeEntry, from: RangeEntry | null, kind: 'all' | 'exclusive' | 'plain', free: RangeEntry[]): void {
    for (let other = from; other !== null; other = other.behind) {
      if (!other.isWaiting || !meets(entry, other)) continue;
      if (kind !== 'all' && other.isExclusive !== (kind === 'exclusive')) continue;
      if (--other.blockers > 0) continue;
      other.isWaiting = false;
      this.waiting--;
      free.push(other);
    }
  }
}

function meets(one: RangeEntry, other: RangeEntry): boolean {
  return other.beginBytes < one.endBytes && one.beginBytes < other.endBytes;
}

/** How many of those before it stand in its way. */
function blockersOf(entry: RangeEntry): number {
  let blockers = 0;
  for (let other = entry.before; other !== null; other = other.before)
    if (meets(entry, other) && (entry.isExclusive || other.isExclusive || other.isWaiting)) blockers++;
  return blockers;
}

const NOBODY: readonly RangeEntry[] = [];
