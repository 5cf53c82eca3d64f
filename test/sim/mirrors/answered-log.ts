// The answered changes of a mirror, in the order of their answers. A FLUSH covers the entries that the log has when the FLUSH is submitted.
// The cost of a FLUSH depends on the number of answers since the last FLUSH, not on the size of the mirror. The oracle decides the meaning
// of answers. Invariant: each durable entry is applied once.

/** A position in a log. */
export interface Covered {
  readonly log: AnsweredLog;
  readonly end: number;
}

/** When more than this many applied entries are kept, the log drops all of them together. */
const APPLIED_MAX = 1024;

export class AnsweredLog {
  private sectors: number[] = [];
  private keys: number[] = [];
  /** `dropped`: number of dropped entries. `applied`: index of the first kept entry that is not durable. */
  private dropped = 0;
  private applied = 0;

  add(sector: number, key: number): void {
    this.sectors.push(sector);
    this.keys.push(key);
  }

  /** Entries that a FLUSH covers if it is submitted now. */
  get covered(): Covered {
    return { log: this, end: this.dropped + this.sectors.length };
  }

  /** Makes all entries before `end` durable. Calls `durable` with each entry that becomes durable by this call. */
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
