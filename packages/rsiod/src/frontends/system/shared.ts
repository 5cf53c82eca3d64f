// A look at the machine that many may ask for at a time: all who ask before it begins share it.
// Leaves the look itself to who makes it. Invariant: whoever asks is never told of a time before.

export class Shared<T> {
  private readonly look: () => Promise<T>;
  private running: Promise<T> | null = null;
  private next: Promise<T> | null = null;

  constructor(look: () => Promise<T>) {
    this.look = look;
  }

  /** What is seen from now on. */
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
