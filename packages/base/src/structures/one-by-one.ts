// Executes asynchronous functions one after another, in the order of the calls. Invariants: each function begins only after the previous
// one has ended. A failure does not stop later functions, and its caller gets the error.

export class OneByOne {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
