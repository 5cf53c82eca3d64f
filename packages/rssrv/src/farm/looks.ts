// Coalesces looks at a record, because many answers may wait for one. Invariant: a look that answers a call has begun after the call.
// Rule: F8.

export class Looks {
  private readonly look: () => Promise<boolean>;
  /** Settles when no look is running. */
  private last: Promise<unknown> = Promise.resolve();
  private next: Promise<boolean> | null = null;

  constructor(look: () => Promise<boolean>) {
    this.look = look;
  }

  /**
   * Resolves with the result of a look that begins later. All calls that wait share the next look, and so do all calls of one event,
   * because a look begins only after the present code has returned.
   */
  ask(): Promise<boolean> {
    this.next ??= this.begin(this.last);
    return this.next;
  }

  private async begin(last: Promise<unknown>): Promise<boolean> {
    await last;
    this.next = null;
    const running = this.look();
    this.last = running.catch(() => undefined);
    return await running;
  }
}
