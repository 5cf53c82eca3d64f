// Examines the state of the machine. Each examination (a look) serves all requests that arrive before the look begins. Invariant: the
// result of a request is never older than the request, so a request that arrives during a look waits for the next look.

export class SharedLook<T> {
  private readonly look: () => Promise<T>;
  private running: Promise<T> | null = null;
  private next: Promise<T> | null = null;

  constructor(look: () => Promise<T>) {
    this.look = look;
  }

  /** Resolves with the result of a look that begins after this call. */
  ask(): Promise<T> {
    if (this.running === null) return this.begin();
    this.next ??= this.running.then(
      () => this.begin(),
      () => this.begin(),
    );
    return this.next;
  }

  private begin(): Promise<T> {
    this.next = null;
    const mine = this.look().finally(() => {
      if (this.running === mine) this.running = null;
    });
    this.running = mine;
    return mine;
  }
}
