// The lock of a mirror (rule M14): reads share sectors; a change excludes reads and other changes. An entry waits for each earlier entry
// that conflicts with it, even if the earlier entry still waits, so that no entry starves. Invariants: two entries that conflict are never
// held together. An entry waits only while `blockers`, the number of earlier conflicting entries, is above 0. Rules: M9.

import { assert, counted } from '@rsio/base/lib/assert';

export class LockEntry {
  /** First sector of the range. An empty range conflicts with nothing. */
  begin = 0;
  end = 0;
  isExclusive = false;
  blockers = 0;
  lock: 'out' | 'waiting' | 'held' = 'out';
  /** True while the entry is held but its owner has not been told yet. */
  isNew = false;
  /** Place in the list of held entries. */
  place = 0;
}

/** The entries that are held. The ranges of these entries are also kept in arrays, so that a search reads consecutive memory. */
class HeldEntries {
  private readonly entries: LockEntry[] = [];
  private begins = new Float64Array(64);
  private ends = new Float64Array(64);

  add(entry: LockEntry): void {
    const place = this.entries.length;
    if (place === this.begins.length) this.grow();
    this.entries.push(entry);
    this.put(entry, place);
  }

  remove(entry: LockEntry): void {
    assert(this.entries[entry.place] === entry, 'A lock is released that is not held');
    const last = this.entries.pop()!;
    if (last === entry) return;
    this.entries[entry.place] = last;
    this.put(last, entry.place);
  }

  overlapping(begin: number, end: number): number {
    const { begins, ends } = this;
    let count = 0;
    for (let place = this.entries.length - 1; place >= 0; place--) if (begins[place]! < end && begin < ends[place]!) count++;
    return count;
  }

  private put(entry: LockEntry, place: number): void {
    entry.place = place;
    this.begins[place] = entry.begin;
    this.ends[place] = entry.end;
  }

  private grow(): void {
    const [begins, ends] = [this.begins, this.ends];
    this.begins = new Float64Array(begins.length * 2);
    this.ends = new Float64Array(begins.length * 2);
    this.begins.set(begins);
    this.ends.set(ends);
  }
}

export class SectorLock {
  private readonly reads = new HeldEntries();
  private readonly changes = new HeldEntries();
  private waiting: LockEntry[] = [];
  private readonly news: LockEntry[] = [];
  private isTelling = false;
  private readonly granted: (entry: LockEntry) => void;

  /** `granted` is called for each entry that had to wait. `granted` may call any method of the lock. */
  constructor(granted: (entry: LockEntry) => void) {
    this.granted = granted;
  }

  /** Returns true if the entry is held now. If the entry must wait, returns false, and `granted` is called for the entry later. */
  enter(entry: LockEntry): boolean {
    assert(entry.lock === 'out', 'A lock is asked for twice');
    const { begin, end } = entry;
    let blockers = this.changes.overlapping(begin, end);
    if (entry.isExclusive) blockers += this.reads.overlapping(begin, end);
    if (this.waiting.length > 0) blockers += conflicts(this.waiting, entry);
    entry.blockers = blockers;
    if (blockers > 0) {
      entry.lock = 'waiting';
      this.waiting.push(entry);
      return false;
    }
    this.hold(entry);
    return true;
  }

  /** Releases a held entry, or withdraws a waiting one. */
  leave(entry: LockEntry): void {
    let from = 0;
    if (entry.lock === 'held') this.heldOf(entry).remove(entry);
    else if (entry.lock === 'waiting') {
      from = this.waiting.indexOf(entry);
      assert(from >= 0, 'A lock waits that is in no queue');
      this.waiting.splice(from, 1);
    } else return;
    entry.lock = 'out';
    entry.isNew = false;
    if (this.waiting.length > from) this.unblock(entry, from);
    if (this.news.length > 0 && !this.isTelling) this.tell();
  }

  private hold(entry: LockEntry): void {
    entry.lock = 'held';
    this.heldOf(entry).add(entry);
  }

  private heldOf(entry: LockEntry): HeldEntries {
    return entry.isExclusive ? this.changes : this.reads;
  }

  /**
   * `from`: first place in `waiting` of an entry that `gone` may have blocked. `from` is 0 if `gone` was held, and the former place of
   * `gone` if `gone` was waiting.
   */
  private unblock(gone: LockEntry, from: number): void {
    let kept = from;
    for (let index = from; index < this.waiting.length; index++) {
      const entry = this.waiting[index]!;
      if (conflict(gone, entry) && (entry.blockers = counted(entry.blockers - 1, 'locks that an entry waits for')) === 0) {
        this.hold(entry);
        entry.isNew = true;
        this.news.push(entry);
      } else this.waiting[kept++] = entry;
    }
    this.waiting.length = kept;
  }

  private tell(): void {
    this.isTelling = true;
    for (let index = 0; index < this.news.length; index++) {
      const entry = this.news[index]!;
      if (!entry.isNew) continue;
      entry.isNew = false;
      this.granted(entry);
    }
    this.news.length = 0;
    this.isTelling = false;
  }
}

function conflict(one: LockEntry, other: LockEntry): boolean {
  return (one.isExclusive || other.isExclusive) && one.begin < other.end && other.begin < one.end;
}

function conflicts(list: readonly LockEntry[], entry: LockEntry): number {
  let count = 0;
  for (let index = 0; index < list.length; index++) if (conflict(list[index]!, entry)) count++;
  return count;
}
