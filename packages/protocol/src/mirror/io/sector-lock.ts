// The lock of a mirror (rule M14): reads share sectors, changes exclude each other and reads. Entries are served in order of arrival: an
// entry waits for each earlier entry that conflicts with it, waiting ones included, so that none starves. Invariants: two entries that
// conflict are never held together. An entry waits only while `blockers`, the number of earlier conflicting entries, is above 0.

export class LockEntry {
  /** First sector, and first sector after the range. An empty range conflicts with nothing. */
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

export class SectorLock {
  private readonly reads: LockEntry[] = [];
  private readonly changes: LockEntry[] = [];
  private waiting: LockEntry[] = [];
  private readonly news: LockEntry[] = [];
  private isTelling = false;
  private readonly granted: (entry: LockEntry) => void;

  /** `granted` is called for each entry that had to wait. It may call every method. */
  constructor(granted: (entry: LockEntry) => void) {
    this.granted = granted;
  }

  /** Returns true if the entry is held now; otherwise, `granted` is called for it later. */
  enter(entry: LockEntry): boolean {
    let blockers = conflicts(this.changes, entry);
    if (entry.isExclusive) blockers += conflicts(this.reads, entry);
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

  /** The entry, held or waiting, leaves. */
  leave(entry: LockEntry): void {
    let from = 0;
    if (entry.lock === 'held') {
      const list = entry.isExclusive ? this.changes : this.reads;
      const last = list.pop()!;
      if (last !== entry) {
        list[entry.place] = last;
        last.place = entry.place;
      }
    } else if (entry.lock === 'waiting') {
      from = this.waiting.indexOf(entry);
      this.waiting.splice(from, 1);
    } else return;
    entry.lock = 'out';
    entry.isNew = false;
    if (this.waiting.length > from) this.unblock(entry, from);
    if (this.news.length > 0 && !this.isTelling) this.tell();
  }

  private hold(entry: LockEntry): void {
    const list = entry.isExclusive ? this.changes : this.reads;
    entry.lock = 'held';
    entry.place = list.length;
    list.push(entry);
  }

  /** A held entry comes before all waiting ones that conflict with it; a waiting one comes before those behind it. */
  private unblock(gone: LockEntry, from: number): void {
    let kept = from;
    for (let index = from; index < this.waiting.length; index++) {
      const entry = this.waiting[index]!;
      if (conflict(gone, entry) && --entry.blockers === 0) {
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
