// The changes of a mirror that were answered, in their order: what a FLUSH covers is what stands here before it. A FLUSH costs as much as
// was answered since the last one, however large the mirror is. The oracle decides what an answer means.
// Invariant: what a FLUSH has made durable once is not applied again.

/** A place in a log. */
export interface Covered {
  readonly log: AnsweredLog;
  readonly end: number;
}

/** So many applied entries are kept before they are dropped together. */
const APPLIED_MAX = 1024;

export class AnsweredLog {
  private sectors: number[] = [];
  private keys: number[] = [];
  /** Entries that were dropped, and the first one that is not durable, counted from the beginning of the log. */
  private dropped = 0;
  private applied = 0;

  add(sector: number, key: number): void {
    this.sectors.push(sector);
    this.keys.push(key);
  }

  /** What a FLUSH that is submitted now covers. */
  get covered(): Covered {
    return { log: this, end: this.dropped + this.sectors.length };
  }

  /** All before `end` is durable: each entry that was not yet is passed on. */
  flushed(end: number, durable: (sector: number, key: number) => void): void {
    for (; this.applied < end; this.applied++) {
      const at = this.applied - this.dropped;
      durable(this.sectors[at]!, this.keys[at]!);
    }
    if (this.applied - this.dropped < APPLIED_MAX) return;
    this.sectors = this.sectors.slice(this.applied - this.dropped);
    this.keys = this.keys.slice(this.applied - this.dropped);
    this.dropped = this.applied;
  }
}
