// Calls together what ended in one turn of the loop. Node calls back for every operation of the thread pool by itself, and answers that
// are given one by one leave in one write each; given together, they leave together.
// Invariant: each end is called once, in the order in which they were added, and never from within `add`.

export class CompletionGroup {
  private ends: (() => void)[] = [];

  add(end: () => void): void {
    this.ends.push(end);
    // Immediates run when all that has ended by now was called back for.
    if (this.ends.length === 1) setImmediate(() => this.callAll());
  }

  private callAll(): void {
    const { ends } = this;
    this.ends = [];
    for (const end of ends) end();
  }
}
