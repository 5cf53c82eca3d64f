// Remembers the counters that data processes last reported, so that sums over all processes do not fall when a process ends or does not
// answer. Invariant: the counters of each life of a process are counted once, as they were last reported. Anything that a process counted
// after its last report is lost.

/** What one process has reported. */
export interface Report<T> {
  readonly number: number;
  /** Number of restarts of the process before this answer. */
  readonly life: number;
  /** Null if the process has not answered. */
  readonly counters: T | null;
}

export class PastCounters<T> {
  private readonly last = new Map<number, { readonly life: number; readonly counters: T }>();
  private past: T;
  private readonly join: (one: T, other: T) => T;

  constructor(none: T, join: (one: T, other: T) => T) {
    this.past = none;
    this.join = join;
  }

  /**
   * Takes the reports of all processes. Returns the counters to add to them: those of earlier lives, and those of processes that have not
   * answered.
   */
  take(reports: readonly Report<T>[]): T {
    let silent: T | null = null;
    for (const { number, life, counters } of reports) {
      const before = this.last.get(number);
      if (counters !== null) {
        if (before !== undefined && before.life < life) this.past = this.join(this.past, before.counters);
        if (before === undefined || before.life <= life) this.last.set(number, { life, counters });
      } else if (before !== undefined) silent = silent === null ? before.counters : this.join(silent, before.counters);
    }
    return silent === null ? this.past : this.join(this.past, silent);
  }
}
