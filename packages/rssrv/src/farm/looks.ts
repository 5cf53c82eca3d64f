// Coalesces looks at a record, because many answers may wait for one. Invariant: a look that answers a call has begun after the call.
// Rule: F8.

export class Looks {
  private readonly look: () => Promise<boolean>;
  private running: Promise<boolean> | null = null;
  private next: Promise<boolean> | null = null;

  constructor(look: () => Promise<boolean>) {
    this.look = look;
  }

  /** Resolves with the result of a look that begins now or later. All calls that wait share the next look. */
  ask(): Promise<boolean> {
    if (this.running === null) return this.begin();
    const after = (): Promise<boolean> => {
      this.next = null;
      return this.begin();
    };
    this.next ??= this.running.then(after, after);
    return this.next;
  }

  private begin(): Promise<boolean> {
    const running = this.look().finally(() => {
      if (this.running === running) this.running = null;
    });
    this.running = running;
    return running;
  }
}
