// Decides which changes to a volume must wait for other changes. Pure. An exclusive change reads blocks, changes some of their bytes and
// writes the blocks back. Of two overlapping changes, the later waits for the earlier if at least one is exclusive. Shared (non-exclusive)
// changes may be in flight together, because the trunk keeps their order. Invariants: no change overtakes a waiting change that it
// overlaps; each change enters once and leaves once. The list of changes is searched only while an exclusive change exists.

import { counted } from '@rsio/base/lib/assert';

/** A change that is in flight or waiting. The objects are re-used for later changes. */
export class RangeEntry {
  beginBytes = 0;
  endBytes = 0;
  isExclusive = false;
  isWaiting = false;
  /**
   * Number of earlier entries that block this entry. An entry blocks others until it leaves; a shared entry blocks other shared entries
   * only until it proceeds.
   */
  blockers = 0;
  before: RangeEntry | null = null;
  behind: RangeEntry | null = null;
}

export class RangeLock {
  private first: RangeEntry | null = null;
  private last: RangeEntry | null = null;
  private exclusives = 0;
  private waiting = 0;

  /** Returns true if the entry may proceed now; otherwise, a later call of `leave` returns the entry. */
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

  /**
   * Removes the entry. Returns the waiting entries that may now proceed. Of two returned entries that overlap, the older one comes first.
   */
  leave(entry: RangeEntry): readonly RangeEntry[] {
    const from = entry.behind;
    this.unlink(entry);
    if (this.waiting === 0) return NOBODY;
    const free: RangeEntry[] = [];
    this.unblock(entry, from, entry.isExclusive ? 'all' : 'exclusive', free);
    // A shared (non-exclusive) entry that proceeds stops blocking other shared entries. The loop also visits the entries that it appends to
    // `free`.
    for (const gone of free) if (!gone.isExclusive) this.unblock(gone, gone.behind, 'plain', free);
    return free;
  }

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
    if (entry.isExclusive) this.exclusives = counted(this.exclusives - 1, 'exclusive locks');
    if (entry.isWaiting) this.waiting--;
    entry.isWaiting = false;
  }

  /**
   * Decrements `blockers` in each waiting entry of the given kind that overlaps `entry`, starting the search at `from`. Appends each entry
   * that may now proceed to `free`.
   */
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

function blockersOf(entry: RangeEntry): number {
  let blockers = 0;
  for (let other = entry.before; other !== null; other = other.before)
    if (overlaps(entry, other) && (entry.isExclusive || other.isExclusive || other.isWaiting)) blockers++;
  return blockers;
}

const NOBODY: readonly RangeEntry[] = [];
