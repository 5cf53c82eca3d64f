// Executes works one after another, in the order of the calls. Invariants: each work begins only after the previous work has ended. A work
// that fails does not stop later works. The caller of the failed work gets the error.

export class OneByOne {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
