// Executes works one after another, in the order of the calls. Invariants: each work begins only after the one before it has ended; a
// failed work does not stop later ones, and its caller gets the error.

export class OneByOne {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
