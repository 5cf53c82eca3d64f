// Executes works one after another, in the order of the calls. Invariants: no work begins before the one ahead of it has ended; a work that
// fails does not stop those behind it, and its caller gets the error.

export class OneByOne {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
