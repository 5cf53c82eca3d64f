// Shares expensive work between the sources of unproven connections: each turn of the event loop does one piece of work, for the source that
// has waited longest since its last turn. Invariants: a source with many connections delays another source by at most one piece of work for
// each source, and never delays the rest of the process by more than one piece at a time. Memory is bounded by the number of connections.

export class SourceTurns {
  private readonly nextTurn: (work: () => void) => void;
  /** The work of each source, in the order of their turns. */
  private readonly waiting = new Map<string, (() => void)[]>();

  constructor(nextTurn: (work: () => void) => void) {
    this.nextTurn = nextTurn;
  }

  /** Runs `work` in a later turn. */
  run(source: string, work: () => void): void {
    const own = this.waiting.get(source);
    if (own !== undefined) own.push(work);
    else this.waiting.set(source, [work]);
    if (this.waiting.size === 1 && own === undefined) this.nextTurn(() => this.turn());
  }

  private turn(): void {
    for (const [source, own] of this.waiting) {
      this.waiting.delete(source);
      const work = own.shift();
      if (own.length > 0) this.waiting.set(source, own);
      if (this.waiting.size > 0) this.nextTurn(() => this.turn());
      work?.();
      return;
    }
  }
}
